"""A command that is not found: the project's own program lies in a folder that is not on every search path."""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'project_shell=%s\\n' "${PROJECT_SHELL-}"
printf 'editor=%s\\n' "${EDITOR-}"
"""

INDEXER = """#!/bin/sh
set -e
cat "$@" | tr -s ' ' '\\n' | sort -u > index.txt
"""
LINTER = """#!/bin/sh
set -e
grep -q '^title:' "$1"
echo "$1 is sound" > lint.log
"""


def _scenes(top: str, program: str, source: str, files: dict[str, str]) -> tuple[tuple[int, Scene], ...]:
    """The program in tools/bin, seldom in opt/bin; the shell says that it was set up for the project, or nothing."""
    here = {f"{top}/{path}": text for path, text in files.items()}

    def scene(home: str, leads: tuple[str, ...] = (), **exported: str) -> Scene:
        return Scene(
            cwd=top,
            files={**here, f"{top}/{home}/{program}": source, f"{top}/tools/README": "Project tools.\n"},
            variables=exported,
            path=leads,
            setup=f"mkdir -p {top}/tools/bin && chmod +x {top}/{home}/{program}",
        )

    usual, other = f"{top}/tools/bin", f"{top}/opt/bin"
    return (
        (7, scene("tools/bin")),
        (9, scene("tools/bin", (usual,), PROJECT_SHELL="on")),
        (2, scene("opt/bin")),
        (1, scene("opt/bin", (other,))),
        (1, scene("opt/bin", (usual,), PROJECT_SHELL="on")),
    )


def ways(here: Path, command: str) -> list[str]:
    """Look for the program; call it where it lies, or put its folder on the search path."""
    program, _, rest = command.partition(" ")
    found = sorted(path.parent.relative_to(here).as_posix() for path in here.rglob(program))
    home = found[0] if found else "."
    return [f"./{home}/{program} {rest}", f'PATH="$PWD/{home}:$PATH" {command}']


PROGRAM = Family(
    name="command not found",
    facts=FACTS,
    aside=Aside(variables={"EDITOR": "vi"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Index the words of all essays", "essay-index drafts/first.txt drafts/second.txt"),
                Phrase("Build the word index of the essays", "essay-index drafts/first.txt drafts/second.txt"),
                Phrase("Bring the index of the drafts up to date", "essay-index drafts/*.txt"),
                Phrase("Make a fresh index over every draft", "essay-index drafts/*.txt", late=True),
            ),
            scenes=_scenes(
                "essays",
                "essay-index",
                INDEXER,
                {"drafts/first.txt": "rain and sun\n", "drafts/second.txt": "sun and snow\n"},
            ),
            check="grep -q snow essays/index.txt",
        ),
        Job(
            phrases=(
                Phrase("Lint the recipe before it is published", "recipe-lint soup.yaml"),
                Phrase("Check the soup recipe for mistakes", "recipe-lint soup.yaml"),
                Phrase("Make sure that the recipe of the soup is sound", "recipe-lint ./soup.yaml"),
                Phrase("Run the linter over the soup", "recipe-lint soup.yaml", late=True),
            ),
            scenes=_scenes("recipes", "recipe-lint", LINTER, {"soup.yaml": "title: Soup\nserves: 4\n"}),
            check="test -s recipes/lint.log",
        ),
    ),
)
