"""A wrong working directory: what the command needs lies in a sub-folder, and the agent may stand above it or in it."""

import re
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'license=%s\\n' "$(ls LICENSE 2>/dev/null)"
"""

MAKEFILE = """check: rates.txt
\t@mkdir -p build
\t@grep -q EUR rates.txt
\t@echo passed > build/check.log
"""
DELEGATING = """check:
\t@$(MAKE) --no-print-directory -C app check
"""
BUNDLE = """set -e
mkdir -p dist
cat pages/*.md > dist/handbook.md
"""
SHORTCUT = """set -e
cd docs
sh scripts/bundle.sh
"""


def _scenes(top: str, sub: str, files: dict[str, str], shortcut: tuple[str, str]) -> tuple[tuple[int, Scene], ...]:
    """The agent above the folder or in it; and, rarely, above it in a project that passes the call on."""
    inner = {f"{top}/{sub}/{path}": text for path, text in files.items()}
    path, text = shortcut
    return (
        (5, Scene(cwd=top, files=inner)),
        (4, Scene(cwd=f"{top}/{sub}", files=inner)),
        (1, Scene(cwd=top, files={**inner, f"{top}/{path}": text})),
    )


def ways(here: Path, command: str) -> list[str]:
    """Look for the folder that holds what the command needs, and run it from there; or have a shell do so."""
    named = re.search(r"\w[\w/]*\.sh", command)
    needed = named.group() if named else "Makefile"
    found = sorted(here.rglob(needed), key=lambda path: len(path.parts))
    home = found[0].parents[len(Path(needed).parts) - 1].relative_to(here).as_posix() if found else "."
    return [f"cd {home} && {command}", f"sh -c 'cd {home}; exec {command}'"]


WORKDIR = Family(
    name="wrong working directory",
    facts=FACTS,
    aside=Aside(files={"LICENSE": "As is.\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Run the checks of the exchange rate service", "make check"),
                Phrase("Check that the exchange rate service is sound", "make check"),
                Phrase("Run all checks on the exchange rates", "make -s check"),
                Phrase("See whether the exchange rate checks still pass", "make check", late=True),
            ),
            scenes=_scenes(
                "exchange", "app", {"Makefile": MAKEFILE, "rates.txt": "EUR 1.09\n"}, ("Makefile", DELEGATING)
            ),
            check="test -s exchange/app/build/check.log",
        ),
        Job(
            phrases=(
                Phrase("Bundle the handbook pages into one file", "sh scripts/bundle.sh"),
                Phrase("Build the handbook from its pages", "sh scripts/bundle.sh"),
                Phrase("Put the handbook together from all pages", "sh ./scripts/bundle.sh"),
                Phrase("Assemble the handbook for the release", "sh scripts/bundle.sh", late=True),
                Phrase("Make one handbook file out of the pages", "sh -e scripts/bundle.sh", late=True),
            ),
            scenes=_scenes(
                "handbook",
                "docs",
                {"scripts/bundle.sh": BUNDLE, "pages/1-start.md": "# Start\n", "pages/2-daily.md": "# Daily\n"},
                ("scripts/bundle.sh", SHORTCUT),
            ),
            check="test -s handbook/docs/dist/handbook.md",
        ),
    ),
)
