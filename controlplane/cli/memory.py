"""Commands that carry memories from one installation or tenant to another, a file of JSON lines at a time."""

from pathlib import Path
from typing import Any

import cyclopts
import msgspec

from .client import call
from .output import Bar, lines, show
from .program import Failed, Json, Url, app

PAGE, PAGE_BYTES = 100, 200_000  # episodes and bytes that are sent at once
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
    show({"file": str(file), "episodes": written}, json, lambda: lines(f"{file} holds {written} episode(s)"))


@memory.command(name="import")
def memory_import(file: Path, *, url: Url = None, json: Json = False) -> None:
    """Take in what `pointsman memory export` wrote, as claims of the key that imports it; what is known stays as it is.

    Args:
      file: The lines; one that was taken in before changes nothing, so an interrupted import is done again.
    """
    try:
        rows = file.read_bytes().splitlines()
        episodes = [msgspec.json.decode(row) for row in rows]
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Failed(f"{file} is not what `pointsman memory export` writes") from error
    made, duplicates, done = 0, 0, 0
    with Bar("importing", hidden=json) as bar:
        for page in _pages(episodes, [len(row) for row in rows]):
            answer = call("POST", "/v1/memory", {"episodes": page}, url)
            made, duplicates = made + len(answer["episode_ids"]), duplicates + answer["duplicates"]
            done += len(page)
            bar(done, len(episodes))
    told = {"imported": made, "duplicates": duplicates}
    show(told, json, lambda: lines(f"imported {made} episode(s); {duplicates} were known"))


def _pages(episodes: list[Any], sizes: list[int]) -> list[list[Any]]:
    pages: list[list[Any]] = []
    room = 0
    for episode, size in zip(episodes, sizes, strict=True):
        if not pages or len(pages[-1]) == PAGE or size > room:
            pages.append([])
            room = PAGE_BYTES
        pages[-1].append(episode)
        room -= size
    return pages
