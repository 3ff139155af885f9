"""Malformed JSON: a document that is one value for some programs and none for a strict one."""

import json
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
IFS= read -r line < "$(echo *.json)"
printf 'first=%.1s\\n' "$line"
printf 'slashes=%s\\n' "$(grep -q // *.json && echo yes)"
printf 'schema=%s\\n' "$(ls schema.txt 2>/dev/null)"
"""

MARK = "\ufeff"  # some programs begin a text with it
THEME, VOLUME = '"theme": "dark",', '"volume": 7'
COMMENT, ADDRESS = "// as agreed in May", '"home": "https://radio.example",'


def _exports() -> tuple[tuple[int, Scene], ...]:
    """One array, or an object per line; rarely one object, an array per line, or a mark before the text."""

    def scene(text: str) -> Scene:
        return Scene(cwd="ledger", files={"ledger/export.json": text})

    return (
        (10, scene('[{"payer": "Ada", "sum": 12},\n{"payer": "Ben", "sum": 30}]\n')),
        (5, scene('{"payer": "Ada", "sum": 12}\n{"payer": "Ben", "sum": 30}\n')),
        (1, scene('{"Ada": 12,\n"Ben": 30}\n')),
        (1, scene('["Ada", 12]\n["Ben", 30]\n')),
        (3, scene(MARK + '[{"payer": "Ada", "sum": 12},\n{"payer": "Ben", "sum": 30}]\n')),
    )


def _settings() -> tuple[tuple[int, Scene], ...]:
    """Settings as they should be, or commented; rarely an address that looks like a comment, or a comma too many."""

    def scene(*lines: str) -> Scene:
        return Scene(cwd="player", files={"player/settings.json": "".join(f"{line}\n" for line in ("{", *lines, "}"))})

    return (
        (10, scene(THEME, VOLUME)),
        (8, scene(COMMENT, THEME, VOLUME)),
        (1, scene(ADDRESS, THEME, VOLUME)),
        (1, scene(THEME, f"{VOLUME},")),
    )


def _strict(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _filters(name: str, text: str) -> tuple[str, str]:
    """Two programs that print the document as one strict value."""
    if text.startswith(MARK):
        return f"tail -c +4 {name}", f"sed '1s/^...//' {name}"
    if _strict(text):
        return f"cat {name}", f"grep . {name}"
    if all(map(_strict, text.splitlines())):
        return f"sed '1s/^/[/; $!s/$/,/; $s/$/]/' {name}", f"(echo [; sed '$!s/$/,/' {name}; echo ])"
    if any(line.startswith("//") for line in text.splitlines()):
        return f"grep -v '^//' {name}", f"sed 's,^//.*,,' {name}"
    return f"tr '\\n' ' ' < {name} | sed 's/, }}/}}/'", f"sed -e :a -e '$!N; s/,\\n}}/}}/; ta' {name}"


def ways(here: Path, command: str) -> list[str]:
    """Look at what the document is; tell the tool, or mend the text on its way there."""
    document = next(here.glob("*.json"))
    text = document.read_text("utf-8")
    piped = [f"{program} | {command.replace(document.name, '-', 1)}" for program in _filters(document.name, text)]
    if not _strict(text) and all(map(_strict, text.splitlines())):
        return [command.replace("json.tool", "json.tool --json-lines"), piped[0]]
    return piped


DOCUMENT = Family(
    name="malformed JSON",
    facts=FACTS,
    aside=Aside(files={"schema.txt": "To be written.\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Check and indent the ledger's export", "python -m json.tool export.json export.txt"),
                Phrase("Make the export of the ledger readable", "python -m json.tool export.json export.txt"),
                Phrase("Format the payments that were exported", "python -m json.tool --tab export.json export.txt"),
                Phrase(
                    "Lay the exported ledger out for print", "python -m json.tool export.json export.txt", late=True
                ),
            ),
            scenes=_exports(),
            check="grep -q Ada ledger/export.txt",
        ),
        Job(
            phrases=(
                Phrase("Validate the settings of the player", "python -m json.tool settings.json checked.txt"),
                Phrase("See whether the player's settings are sound", "python -m json.tool settings.json checked.txt"),
                Phrase(
                    "Check the settings file after the edit", "python -m json.tool settings.json checked.txt", late=True
                ),
            ),
            scenes=_settings(),
            check="grep -q volume player/checked.txt",
        ),
    ),
)
