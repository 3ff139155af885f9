"""A script without permission to be executed: a checkout keeps the permission as a rule, a download loses it."""

import re
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'checkout=%s\\n' "$([ -d .git ] && echo git)"
printf 'readme=%s\\n' "$(ls README 2>/dev/null)"
"""

RELEASE = """#!/bin/sh
set -e
sed "s/^version .*/version $1/" VERSION > VERSION.new
mv VERSION.new VERSION
"""
COMING = """#!/usr/bin/env python
kept = [line for line in open("guests.csv") if not line.endswith(",no\\n")]
open("coming.csv", "w").writelines(kept)
"""


def _scenes(top: str, script: str, source: str, files: dict[str, str]) -> tuple[tuple[int, Scene], ...]:
    """A checkout or a download, with a script that may be executed or not."""
    here = {f"{top}/{path}": text for path, text in {**files, script: source}.items()}
    allow = f"chmod +x {top}/{script}"
    checkout = {**here, f"{top}/.git/HEAD": "ref: refs/heads/main\n"}
    return (
        (9, Scene(cwd=top, files=here)),
        (1, Scene(cwd=top, files=here, setup=allow)),
        (9, Scene(cwd=top, files=checkout, setup=allow)),
        (1, Scene(cwd=top, files=checkout)),
    )


def ways(here: Path, command: str) -> list[str]:
    """Hand the script to the interpreter its first line names; or give it permission."""
    script = command.split()[0]
    first = (here / script).read_text("utf-8").splitlines()[0]
    named = re.search(r"(\w+)$", first)
    interpreter = named.group(1) if named else "sh"
    return [f"{interpreter} {command}", f"chmod +x {script} && {command}"]


PERMISSION = Family(
    name="permission to execute",
    facts=FACTS,
    aside=Aside(files={"README": "Ask Ada.\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Set the version of the release", "./release.sh 2.4"),
                Phrase("Prepare release 2.4", "./release.sh 2.4"),
                Phrase("Write the new version number down", "./release.sh 2.4"),
                Phrase("Raise the version for the next release", "./release.sh 2.5", late=True),
            ),
            scenes=_scenes("almanac", "release.sh", RELEASE, {"VERSION": "version 2.3\n"}),
            check="grep -q 'version 2.[45]' almanac/VERSION",
        ),
        Job(
            phrases=(
                Phrase("List the guests who are coming", "./bin/coming.py"),
                Phrase("Drop everybody who declined from the guest list", "./bin/coming.py"),
                Phrase("Write the list of guests who said yes", "bin/coming.py", late=True),
            ),
            scenes=_scenes("wedding", "bin/coming.py", COMING, {"guests.csv": "Ada,yes\nBen,no\n"}),
            check="grep -q Ada wedding/coming.csv",
        ),
    ),
)
