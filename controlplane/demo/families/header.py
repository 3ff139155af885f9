"""Missing C headers: they lie in a folder the compiler is told of by some shells and projects only."""

import re
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'cpath=%s\\n' "${CPATH-}"
printf 'cflags=%s\\n' "${CFLAGS-}"
"""

GAUGE = '#include "scale.h"\n\nint gauge(int reading) { return reading * SCALE; }\n'
SCALE = "#define SCALE 12\n"
CODEC = '#include "frame.h"\n#include "limits_of.h"\n\nint fits(int bytes) { return bytes + FRAME < LIMIT; }\n'
FRAME, LIMIT = "#define FRAME 16\n", "#define LIMIT 1500\n"


def _scenes(
    top: str, source: dict[str, str], headers: dict[str, str], usual: str, other: str
) -> tuple[tuple[int, Scene], ...]:
    """The headers in the usual folder, in another, or beside the source; CPATH names the usual one or nothing."""

    def scene(home: str, variables: dict[str, str]) -> Scene:
        own = {**source, f"{usual}/README": "Headers.\n", **{f"{home}/{name}": text for name, text in headers.items()}}
        return Scene(cwd=top, files={f"{top}/{path}": text for path, text in own.items()}, variables=variables)

    told = {"CPATH": usual}
    return (
        (7, scene(usual, {})),
        (9, scene(usual, told)),
        (2, scene(other, {})),
        (1, scene(other, told)),
        (1, scene("src", {})),
    )


def ways(here: Path, command: str) -> list[str]:
    """Look for the headers the source includes; name their folder to the compiler, by option or by variable."""
    named = re.search(r"\S+\.c\b", command)
    source = named.group() if named else ""
    included = re.findall(r'^#include "(.+)"', (here / source).read_text("utf-8"), re.MULTILINE)
    folders = sorted({path.parent.relative_to(here).as_posix() for name in included for path in here.rglob(name)})
    options = " ".join(f"-I{folder}" for folder in folders)
    return [command.replace("cc ", f"cc {options} ", 1), f"CPATH={':'.join(folders)} {command}"]


HEADER = Family(
    name="missing headers",
    facts=FACTS,
    aside=Aside(variables={"CFLAGS": "-O1"}),  # make reads it, the compiler does not
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Compile the gauge driver", "cc -c src/gauge.c -o gauge.o"),
                Phrase("Build the object file of the gauge driver", "cc -c src/gauge.c -o gauge.o"),
                Phrase("Check that the gauge driver compiles without warnings", "cc -Wall -c src/gauge.c -o gauge.o"),
                Phrase("Recompile the driver of the gauge after the change", "cc -c src/gauge.c -o gauge.o", late=True),
            ),
            scenes=_scenes("gauge", {"src/gauge.c": GAUGE}, {"scale.h": SCALE}, "include", "deps/include"),
            check="test -s gauge/gauge.o",
        ),
        Job(
            phrases=(
                Phrase("Compile the frame codec", "cc -c src/codec.c -o codec.o"),
                Phrase("Make an object file of the frame codec for the linker", "cc -c src/codec.c -o codec.o"),
                Phrase("See whether the codec still compiles", "cc -O1 -c src/codec.c -o codec.o"),
                Phrase(
                    "Compile the codec of the frames for the release", "cc -O1 -c src/codec.c -o codec.o", late=True
                ),
            ),
            scenes=_scenes(
                "radio", {"src/codec.c": CODEC}, {"frame.h": FRAME, "limits_of.h": LIMIT}, "third_party", "include"
            ),
            check="test -s radio/codec.o",
        ),
    ),
)
