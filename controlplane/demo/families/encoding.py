"""Wrong text encoding: a file is read as UTF-8 and was written in something else."""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
printf 'line_ends=%s\\n' "$(grep -q "$(printf '\\r')" *.txt && echo crlf || echo lf)"
printf 'words=%s\\n' "$(ls words.dic 2>/dev/null)"
"""

CARDS = """
import sys

encoding = sys.argv[1] if len(sys.argv) > 1 else "utf-8"
with open("guests.txt", encoding=encoding) as guests:
    cards = [f"Dear {name.strip()},\\n" for name in guests if name.strip()]
with open("cards.out", "w", encoding="utf-8") as out:
    out.writelines(cards)
"""
UTF_8, LATIN_1, UTF_16 = "UTF-8", "ISO-8859-1", "UTF-16"


def _scenes(top: str, name: str, lines: tuple[str, ...], files: dict[str, str]) -> tuple[tuple[int, Scene], ...]:
    """Text from this system or from another, whose line ends and encoding go together as a rule."""

    def scene(encoding: str, end: str) -> Scene:
        written = f"cd {top} && mv {name} utf-8 && iconv -f UTF-8 -t {encoding} utf-8 > {name} && rm utf-8"
        own = {**files, name: "".join(line + end for line in lines)}
        setup = "" if encoding == UTF_8 else written
        return Scene(cwd=top, files={f"{top}/{path}": text for path, text in own.items()}, setup=setup)

    return (
        (10, scene(UTF_8, "\n")),
        (1, scene(LATIN_1, "\n")),
        (5, scene(LATIN_1, "\r\n")),
        (3, scene(UTF_16, "\r\n")),
        (1, scene(UTF_8, "\r\n")),
    )


def _encoding(text: bytes) -> str:
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        return UTF_16
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return LATIN_1
    return UTF_8


def ways(here: Path, command: str) -> list[str]:
    """Look at the bytes: name the encoding they are in, or rewrite the file in the one that is expected."""
    text = next(here.glob("*.txt"))
    encoding = _encoding(text.read_bytes())
    told = command.replace("-f UTF-8", f"-f {encoding}") if command.startswith("iconv") else f"{command} {encoding}"
    return [told, f"iconv -f {encoding} -t UTF-8 {text.name} > rewritten && mv rewritten {text.name} && {command}"]


ENCODING = Family(
    name="text encoding",
    facts=FACTS,
    aside=Aside(files={"words.dic": "yes\nno\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Convert the subtitles for the player", "iconv -f UTF-8 -t UTF-16LE subtitles.txt > film.sub"),
                Phrase("Write the film's subtitles as UTF-16", "iconv -f UTF-8 -t UTF-16LE subtitles.txt > film.sub"),
                Phrase(
                    "Turn the subtitles into what the player reads",
                    "iconv -f UTF-8 -t UTF-16LE subtitles.txt >film.sub",
                ),
                Phrase(
                    "Make the subtitle file for the film",
                    "iconv -f UTF-8 -t UTF-16LE subtitles.txt > film.sub",
                    late=True,
                ),
            ),
            scenes=_scenes("film", "subtitles.txt", ("Zum Café, bitte.", "Ist es weit?", "Drei Straßen."), {}),
            check="iconv -f UTF-16LE -t UTF-8 film/film.sub | grep -q 'Café,'",
        ),
        Job(
            phrases=(
                Phrase("Print a card for every guest", "python cards.py"),
                Phrase("Write the cards for the guests of the dinner", "python cards.py"),
                Phrase("Make the dinner cards again", "python3 cards.py", late=True),
            ),
            scenes=_scenes("dinner", "guests.txt", ("Zoë", "Ada", "José"), {"cards.py": CARDS}),
            check="grep -q 'Dear Zoë,' dinner/cards.out",
        ),
    ),
)
