"""Commands on the data folder itself: fold the journal again, back it up, put a backup back, archive."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .. import failpoints, settings
from ..errors import BadSetting
from .output import Bar, lines, show
from .program import Failed, Flag, Json, Some, app

if TYPE_CHECKING:
    from ..retention import Moved


@app.command
def rebuild(*, verify: Flag = False, json: Json = False) -> None:
    """Fold the whole journal again and write a fresh recovery file; stop the server first.

    Args:
      verify: Only compare, bit for bit, with what the server wrote down; a running server is no hindrance.
    """
    from ..rebuilding import rebuild as run

    _for_the_owner_only()
    with Bar("folding", hidden=json) as bar:
        report = asyncio.run(run(settings.load(), verify=verify, progress=bar))
    said = f"{report.events} events folded to {report.seq}: {report.verdict}"
    show(msgspec.to_builtins(report), json, lambda: lines(said, *report.differences))
    if report.differences:
        raise Failed("the journal folds to something else than the server wrote down; keep both and report it")


@app.command
def backup(target: Path, *, data_dir: Path | None = None, json: Json = False) -> None:
    """Copy the journal and the checkpoints to a new folder; the server may run.

    Args:
      target: The folder to make; nothing may be there.
      data_dir: The data folder to copy; by default what the settings say.
    """
    from ..backups import back_up
    from ..clock import SystemClock

    _for_the_owner_only()
    with Bar("copying", hidden=json) as bar:
        made = back_up(data_dir or _folder_of(settings.load()), target, SystemClock(), bar)
    held = f"events up to {made.seq} in {len(made.files)} file(s), {sum(f.size for f in made.files.values()):,} bytes"
    show({"backup": str(target), **msgspec.to_builtins(made)}, json, lambda: lines(f"{target} holds {held}"))


@app.command
def restore(backup: Path, *, data_dir: Path | None = None, json: Json = False) -> None:
    """Put a backup into an empty data folder, once every file of it is verified.

    Args:
      backup: A folder that `pointsman backup` made.
      data_dir: Where to; by default what the settings say. It must be empty, or not there yet.
    """
    from ..backups import restore as put_back

    _for_the_owner_only()
    folder = data_dir or _folder_of(settings.load())
    with Bar("verifying and copying", hidden=json) as bar:
        manifest = put_back(backup, folder, bar)
    answer = {"data_dir": str(folder), **msgspec.to_builtins(manifest)}
    show(answer, json, lambda: lines(f"{folder} holds events up to {manifest.seq}; `pointsman serve` folds them"))


@app.command
def archive(*, keep: Some, json: Json = False) -> None:
    """Move old events out of the journal into a file of their own; stop the server first (replicas may run).

    Args:
      keep: How many of the newest events stay at least; those of the last 24 hours stay in any case.
    """
    _for_the_owner_only()
    loaded = settings.load()
    failpoints.arm(loaded.failpoints or "")
    with Bar("folding and copying", hidden=json) as bar:
        moved = asyncio.run(_archiving(loaded, keep, bar))
    said = f"archive/{moved.file} holds {moved.events} event(s), the newest of them at most {moved.seq}"
    nothing = "nothing was archived: what is older than 24 hours is kept, or archived already"
    show(msgspec.to_builtins(moved), json, lambda: lines(said if moved.file else nothing))


def _archiving(loaded: settings.Settings, keep: int, bar: Bar) -> "Coroutine[Any, Any, Moved]":
    """Of the data folder's journal, or the database's."""
    from ..clock import SystemClock
    from ..retention import archive

    if loaded.database_url is None:
        return archive(Path(loaded.data_dir), keep, SystemClock(), bar)
    from ..shared_retention import archive as archive_shared

    return archive_shared(Path(loaded.data_dir), loaded.database_url, keep, SystemClock(), bar)


@app.command
def migrate(*, data_dir: Path | None = None, json: Json = False) -> None:
    """Copy the journal into the empty database that POINTSMAN_DATABASE_URL names; stop the server first.

    Args:
      data_dir: The data folder to copy; by default what the settings say.
    """
    from ..clock import SystemClock

    _for_the_owner_only()
    loaded = settings.load()
    if loaded.database_url is None:
        raise BadSetting("set POINTSMAN_DATABASE_URL to the database that the journal is to be copied into")
    failpoints.arm(loaded.failpoints or "")
    from ..moving import migrate as run

    folder = data_dir or Path(loaded.data_dir)
    with Bar("copying", hidden=json) as bar:
        done = asyncio.run(run(folder, loaded.database_url, SystemClock(), bar))
    said = f"{done.events} event(s) copied, the database holds {done.seq}; its pepper is that of {folder / 'pepper'}"
    show(msgspec.to_builtins(done), json, lambda: lines(said))


def _folder_of(loaded: settings.Settings) -> Path:
    """The data folder of an embedded server.

    Raises:
      BadSetting: the journal is PostgreSQL's.
    """
    if loaded.database_url is not None:
        raise BadSetting(
            "this command is for the embedded journal; with POINTSMAN_DATABASE_URL set use PostgreSQL's own tools "
            "(pg_dump, pg_restore)"
        )
    return Path(loaded.data_dir)


def _for_the_owner_only() -> None:
    """What is written from here on is read by nobody else, as what the server writes."""
    os.umask(0o077)
