"""Commands that carry memories from one installation or tenant to another, a file of JSON lines at a time."""

from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, NamedTuple

import cyclopts
import msgspec

from .client import NotTaken, call
from .output import Bar, lines, show
from .program import Failed, Json, Url, app

PAGE, PAGE_BYTES = 100, 200_000  # episodes and bytes that are sent at once
SHOWN = 10  # refused lines that are named; as JSON all are
memory = cyclopts.App(name="memory", help="Carry memories to another installation or tenant.")
app.command(memory)


@memory.command(name="export")
def memory_export(file: Path, *, url: Url = None, json: Json = False) -> None:
    """Write this tenant's episodes to a file, a line each, with where they come from.

    Args:
      file: Where to. While it is not whole, it is FILE.part.
    """
    part, written, following = file.with_name(f"{file.name}.part"), 0, 0
    try:
        with part.open("wb") as out, Bar("exporting", hidden=json) as bar:
            while following is not None:
                page = call("GET", f"/v1/memory?after={following}", None, url)
                out.writelines(msgspec.json.encode(episode) + b"\n" for episode in page["episodes"])
                written, following = written + len(page["episodes"]), page["next"]
                bar(written, page["total"])
        part.replace(file)
    except OSError as error:
        raise Failed(f"{file} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    show({"file": str(file), "episodes": written}, json, lambda: lines(f"{file} holds {written} episode(s)"))


@memory.command(name="import")
def memory_import(file: Path, *, url: Url = None, json: Json = False) -> None:
    """Take in what `pointsman memory export` wrote, as claims of the key that imports it; what is known stays as it is.

    Args:
      file: The lines; one that was taken in before changes nothing, so an interrupted import is done again. One that
        is refused is named, and the others are taken in.
    """
    try:
        rows = file.read_bytes().removeprefix(BOM_UTF8).splitlines()
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    read = [_line(number, row) for number, row in enumerate(rows, 1) if row.strip()]
    taken = Taken(refused=[line for line in read if isinstance(line, Refused)])
    left = [line for line in read if isinstance(line, Line)]
    with Bar("importing", hidden=json) as bar:
        for page in _pages(left):
            _send(page, taken, url)
            bar(taken.imported + taken.duplicates + len(taken.refused), len(read))
    taken.refused.sort(key=lambda of: of.line)
    show(taken, json, lambda: lines(f"imported {taken.imported} episode(s); {taken.duplicates} were known"))
    if taken.refused:
        named = "; ".join(f"line {of.line}: {of.why}" for of in taken.refused[:SHOWN])
        raise Failed(f"{len(taken.refused)} line(s) of {file} were refused: {named}")


class Line(NamedTuple):
    """A line of a file: an episode, and how long it is [bytes]."""

    number: int
    episode: Any
    size: int


class Refused(msgspec.Struct, frozen=True):
    """A line that is not taken in, and why."""

    line: int
    why: str


class Taken(msgspec.Struct):
    """What became of a file."""

    imported: int = 0
    duplicates: int = 0
    refused: list[Refused] = []


def _line(number: int, row: bytes) -> Line | Refused:
    try:
        return Line(number, msgspec.json.decode(row), len(row))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Refused(number, "it is not what `pointsman memory export` writes")


def _pages(left: list[Line]) -> list[list[Line]]:
    pages: list[list[Line]] = []
    room = 0
    for line in left:
        if not pages or len(pages[-1]) == PAGE or line.size > room:
            pages.append([])
            room = PAGE_BYTES
        pages[-1].append(line)
        room -= line.size
    return pages


def _send(page: list[Line], taken: Taken, url: str | None) -> None:
    """Of a page that is refused each line by itself, so that one spoils no other."""
    try:
        answer = call("POST", "/v1/memory", {"episodes": [line.episode for line in page]}, url)
    except NotTaken as refusal:
        if len(page) == 1:
            taken.refused.append(Refused(page[0].number, str(refusal)))
        for line in page if len(page) > 1 else ():
            _send([line], taken, url)
        return
    taken.imported += len(answer["episode_ids"])
    taken.duplicates += answer["duplicates"]
