"""What was decided, as files for others."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from .. import settings
from .output import Bar, lines, show, table
from .program import Failed, Json, app

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
    from ..data_folder import JOURNAL_FILE

    source = data_dir or Path(settings.load().data_dir)
    if not (source / JOURNAL_FILE).exists():
        raise Failed(f"there is no journal in {source}; set POINTSMAN_DATA_DIR, or name its folder with --data-dir")
    os.umask(0o077)  # what tenants decided is read by nobody else
    with Bar(f"exporting {format}", hidden=json) as bar:
        made = asyncio.run(_export(source, folder, bar))
    show(msgspec.to_builtins(made), json, lambda: _told(made))


async def _export(source: Path, folder: Path, bar: Bar) -> "Exported":
    from ..data_folder import open_journal
    from ..origin import find
    from ..replay.export import export

    journal = await open_journal(source)
    try:
        return await export(journal, find(source, journal.archives), folder, bar)
    finally:
        await journal.close()


def _told(made: "Exported") -> None:
    held = f"{made.decisions} decision(s) in {made.files} file(s), {made.size_bytes:,} bytes, up to event {made.seq}"
    lines(f"{made.folder} holds {held}")
    table([msgspec.structs.asdict(part) for part in made.parts], COLUMNS)
    lines(*(f"{part.tenant}, {part.point}: {said}" for part in made.parts for said in part.left_out))
