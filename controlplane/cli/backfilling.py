"""Other databases and files, brought into memory: `pointsman backfill`."""

import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from .. import settings
from ..addresses import address
from ..backfill.described import Described, read_described
from ..backfill.passing import Backfill, Passed, Skipped
from ..backfill.server import Server, ServerRefused
from .output import Bar, lines, show
from .program import UNREACHABLE, Failed, Flag, Json, Url, app

SHOWN = 10  # records of each kind that are named
Interval = Annotated[float, Parameter(validator=Number(gt=0, lte=threading.TIMEOUT_MAX))]


@app.command(name="backfill")
def backfill_command(
    *,
    file: Path = Path("origins.toml"),
    db: str | None = None,
    watch: Flag = False,
    interval: Interval = 60.0,
    url: Url = None,
    json: Json = False,
) -> None:
    """Have the server keep what is new, modified or gone in other databases and files.

    Args:
      file: What they are and how they are read.
      db: Only the origin of this name.
      watch: Go on, and look again after each interval; SIGTERM ends it.
      interval: Seconds between two looks.
    """
    origins, chosen, stop = read_described(file, db), settings.load(), threading.Event()
    server = Server(
        url or address(chosen.host, chosen.port), chosen.api_key or "", lambda wait_s: not stop.wait(wait_s)
    )
    work = Backfill(server, stop.is_set)
    if watch:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
    passed = _pass(work, origins, json=json)
    while watch and not stop.wait(interval):
        passed = _pass(work, origins, json=json, before=passed)
    server.close()
    failed = [f"{one.origin}: {one.failed}" for one in passed if one.failed]
    if failed and not watch:
        raise Failed("; ".join(failed), UNREACHABLE if all("no server answers" in why for why in failed) else 1)


def _pass(work: Backfill, origins: list[Described], *, json: bool, before: list[Passed] | None = None) -> list[Passed]:
    """All origins once. After another pass, only what is otherwise than before is said."""
    passed = list[Passed]()
    for origin in origins:
        with Bar(origin.name, hidden=json) as bar:
            passed.append(work.over(origin, bar))
    same = before is not None and [one.troubles for one in passed] == [one.troubles for one in before]
    if not same or any(one.changed for one in passed):
        stale = _stale(work)
        show({"origins": msgspec.to_builtins(passed), "stale_vectors": stale}, json, lambda: _told(passed, stale))
    return passed


def _stale(work: Backfill) -> int | None:
    try:
        return work.stale_vectors()
    except ServerRefused:
        return None


def _told(passed: list[Passed], stale: int | None) -> None:
    for one in passed:
        lines(
            f"{one.origin}: {one.records} records, {one.kept} kept, {one.unchanged} unchanged, {one.dropped} dropped, "
            f"{len(one.skipped)} skipped, {len(one.violations)} licence violations",
            *_named("skipped", one.skipped),
            *_named("licence violation", one.violations),
            *([f"  failed: {one.failed}"] if one.failed else []),
        )
    if stale:
        lines(f"the server still renews {stale} vector(s) of another embedder")


def _named(what: str, records: list[Skipped]) -> list[Any]:
    more = [f"  and {len(records) - SHOWN} more"] if len(records) > SHOWN else []
    return [*(f"  {what}: {record.key}: {record.why}" for record in records[:SHOWN]), *more]
