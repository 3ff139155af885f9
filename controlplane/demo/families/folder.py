"""A missing output folder: an earlier run made it, a fresh copy of the project has none."""

import re
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'log=%s\\n' "$(ls build.log 2>/dev/null)"
printf 'notes=%s\\n' "$(ls NOTES 2>/dev/null)"
"""

RENDER = """
import sys

rows = [line.split() for line in open("stations.txt")]
with open(sys.argv[1], "w") as page:
    page.writelines(f"<li>{name} ({height} m)</li>\\n" for name, height in rows)
"""


def _scenes(top: str, folder: str, files: dict[str, str]) -> tuple[tuple[int, Scene], ...]:
    """A project that was built before, as its log shows, or not; the folder is there or not, or a file in its place."""

    def scene(*found: dict[str, str]) -> Scene:
        own = {path: text for part in (files, *found) for path, text in part.items()}
        return Scene(cwd=top, files={f"{top}/{path}": text for path, text in own.items()})

    log, made, blocked = {"build.log": "built\n"}, {f"{folder}/.keep": ""}, {folder: "kept from an old run\n"}
    return (
        (7, scene()),
        (9, scene(log, made)),
        (1, scene(made)),
        (1, scene(log)),
        (2, scene(blocked)),
    )


def ways(here: Path, command: str) -> list[str]:
    """Make the folder the command writes to; what stands in its place is set aside."""
    named = re.search(r"([\w./]+)/[\w.]+$", command)
    folder = named.group(1) if named else "."
    aside = f"mv {folder} {folder}.before && " if (here / folder).is_file() else ""
    return [f"{aside}mkdir -p {folder} && {command}", f"{aside}install -d {folder} && {command}"]


FOLDER = Family(
    name="missing output folder",
    facts=FACTS,
    aside=Aside(files={"NOTES": "Call Ada on Monday.\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Sort the names of the choir", "sort singers.txt > out/singers.txt"),
                Phrase("Write the singers down in alphabetical order", "sort singers.txt > out/singers.txt"),
                Phrase("Make an ordered list of the choir without doubles", "sort -u singers.txt > out/singers.txt"),
                Phrase("Put the singers' names in order for print", "sort singers.txt > out/singers.txt", late=True),
            ),
            scenes=_scenes("choir", "out", {"singers.txt": "Mia\nBen\nAda\n"}),
            check="test -s choir/out/singers.txt",
        ),
        Job(
            phrases=(
                Phrase("Render the list of weather stations", "python render.py site/stations.html"),
                Phrase("Make the web page of the weather stations", "python render.py site/stations.html"),
                Phrase("Render the stations' page again", "python3 render.py site/stations.html", late=True),
            ),
            scenes=_scenes("weather", "site", {"render.py": RENDER, "stations.txt": "Kalm 211\nFeldberg 1493\n"}),
            check="grep -q Feldberg weather/site/stations.html",
        ),
    ),
)
