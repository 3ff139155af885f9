"""What was decided, as files for others."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from .. import settings
from .output import Bar, lines, show, table
from .program import Json, app

if TYPE_CHECKING:
    from ..replay.export import Exported

COLUMNS = ("tenant", "point", "files", "decisions")


@app.command(name="export")
def export_command(
    folder: Path, *, format: Literal["parquet"] = "parquet", data_dir: Path | None = None, json: Json = False
) -> None:
    """Write the journal's decisions to files by tenant, point and day, and say what is left out; the server may run.

    Args:
      folder: The folder to make; nothing may be there.
      format: What kind of files; Parquet needs the extra `parquet`.
      data_dir: The data folder; by default what the settings say.
    """
    loaded = settings.load()
    source, url = data_dir or Path(loaded.data_dir), None if data_dir else loaded.database_url
    os.umask(0o077)  # what tenants decided is read by nobody else
    with Bar(f"exporting {format}", hidden=json) as bar:
        made = asyncio.run(_export(source, url, folder, bar))
    show(msgspec.to_builtins(made), json, lambda: _told(made))


async def _export(source: Path, url: str | None, folder: Path, bar: Bar) -> "Exported":
    from ..replay.export import export
    from ..whole_log import opened

    async with opened(source, url) as (journal, origin):
        return await export(journal, origin, folder, bar)


def _told(made: "Exported") -> None:
    held = f"{made.decisions} decision(s) in {made.files} file(s), {made.size_bytes:,} bytes, up to event {made.seq}"
    lines(f"{made.folder} holds {held}")
    table([msgspec.structs.asdict(part) for part in made.parts], COLUMNS)
    lines(*(f"{part.tenant}, {part.point}: {said}" for part in made.parts for said in part.left_out))
