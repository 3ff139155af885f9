"""Power cuts through the lives of a journal, and what the shipped journal makes of the disks they leave.

A history is a few lives: the first begins with an empty folder or an old schema, each of the others with a
disk that a cut through the one before it left. It is made from its seed alone. A disk is opened as the
server opens it, with aiosqlite and the SQLite that Python brings.
"""

import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import msgspec

from auditor.events import WindowClosed
from controlplane.errors import PointsmanError
from controlplane.journal import SqliteJournal, connect, encode_event
from controlplane.journal.queries import migrations

from .disk import Disk
from .ledger import Finding, Found, Ledger
from .life import FILE, Instead, Life
from .recorder import Operation, Recorder

LIVES, CUTS = 3, 35  # of a history; of a life
EVERYTHING = 2**60
LAST = WindowClosed(tenant="a", at=1.5, trace_id="last")
Files = Mapping[str, bytes]


class Tally(msgspec.Struct):
    """How many cuts were made, and the promises they broke, each with the seed of its history."""

    cuts: int = 0
    acknowledged: int = 0  # events answered before the cut, over all cuts
    after: Counter[str] = msgspec.field(default_factory=Counter)  # the last step before the cut
    broken: Counter[str] = msgspec.field(default_factory=Counter)
    findings: list[str] = []

    def count(self, findings: list[Finding], where: str) -> None:
        self.cuts += 1
        self.broken.update({finding.kind for finding in findings})
        self.findings += (f"{where}: {finding.kind}: {finding.what}" for finding in findings[:3])

    def __str__(self) -> str:
        head = f"{self.cuts} cuts, {self.acknowledged} acknowledged events looked for"
        broken = ", ".join(f"{kind} {cuts}" for kind, cuts in self.broken.items()) or "nothing"
        after = ", ".join(f"{step} {cuts}" for step, cuts in self.after.most_common())
        return "\n".join([head, f"cuts that broke a promise: {broken}", f"cuts after {after}", *self.findings[:20]])


async def cut_through(seed: int, cuts: int, folder: Path, instead: Instead) -> Tally:
    """At least so many cuts, through the histories of this seed and the ones after it."""
    tally = Tally()
    while tally.cuts < cuts:
        await History(seed, folder, instead, tally).run()
        seed += 1
    return tally


class History:
    """The lives of one seed."""

    def __init__(self, seed: int, folder: Path, instead: Instead, tally: Tally) -> None:
        self._seed, self._folder, self._instead, self._tally = seed, folder, instead, tally
        self._rng = random.Random(seed)

    async def run(self) -> None:
        """A life that ended badly is the last: what follows from it would be found again and again."""
        ledger = Ledger()
        files = old_schema(self._folder, ledger) if self._rng.random() < 0.3 else {}
        for life in range(LIVES):
            put(files, self._folder)
            with Recorder() as recorder:
                await Life(recorder, self._folder, ledger, self._rng, self._instead).run()
            broken = self._tally.broken.total()
            files, ledger = await self._cut(f"seed {self._seed}, life {life}", files, recorder.log, ledger)
            if self._tally.broken.total() > broken:
                return

    async def _cut(self, where: str, files: Files, log: list[Operation], ledger: Ledger) -> tuple[Files, Ledger]:
        """Cut at some places; the disk that one of them left, and the ledger of a life that begins with it."""
        disk, reached, following = Disk(files), 0, (files, ledger)
        places = places_of(log, self._rng)
        going_on = self._rng.choice(places)
        for cut in places:
            disk.follow(log[reached:cut])
            reached, left = cut, disk.after_cut(self._rng)
            found = await read(left, self._folder, self._rng)
            findings = [found] if isinstance(found, Finding) else list(ledger.findings(cut, found, left))
            self._tally.count(findings, f"{where}, cut {cut} of {len(log)}")
            self._tally.acknowledged += ledger.promised(cut)
            self._tally.after.update(step.name for step in log[:cut][-1:])
            if cut == going_on and isinstance(found, Found):
                following = left, ledger.after(cut, found)
        return following


def places_of(log: list[Operation], rng: random.Random) -> list[int]:
    """Half of them anywhere, half after a step of a kind that is drawn first, for some kinds are rare."""
    kinds: dict[str, list[int]] = {}
    for place, step in enumerate(log, 1):
        kinds.setdefault(step.name, []).append(place)
    anywhere = [rng.randint(0, len(log)) for _ in range(CUTS // 2)]
    return sorted(anywhere + [rng.choice(kinds[rng.choice(list(kinds))]) for _ in range(CUTS - len(anywhere))])


def put(files: Files, folder: Path) -> None:
    """These files in the folder, and no others."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


async def read(disk: Files, folder: Path, rng: random.Random) -> Found | Finding:
    """What a server that starts on this disk finds; the shared index of the log may hold anything."""
    put({**disk, f"{FILE}-shm": rng.randbytes(rng.choice((0, 100, 32_768)))}, folder)
    try:
        journal = await SqliteJournal.open(connect(folder / FILE))
        try:
            return await _everything(journal)
        finally:
            await journal.close()
    except (sqlite3.Error, PointsmanError) as error:
        return Finding("unreadable", repr(error))


async def _everything(journal: SqliteJournal) -> Found | Finding:
    verdict = list(await journal._writer.execute_fetchall("PRAGMA integrity_check"))
    if verdict != [("ok",)]:
        return Finding("unreadable", f"integrity_check says {verdict}")
    rows = [(recorded.seq, encode_event(recorded.event)) for recorded in await journal.read(0, EVERYTHING)]
    records = {record.trace_id: record async for _, record in journal.all_learned(EVERYTHING)}
    if await journal.append(LAST) != len(rows) + 1:
        return Finding("gap", "the next event has not the next number")
    return Found(rows, records)


def old_schema(folder: Path, ledger: Ledger) -> Files:
    """A database that the first version wrote, with an event in it."""
    put({}, folder)
    [(number, sql), *_] = migrations()
    event = WindowClosed(tenant="a", at=1.5, trace_id="<old>")
    ledger.hand_in({b"<old>": event}).answered = 0
    with closing(sqlite3.connect(folder / FILE)) as database:
        database.executescript(f"{sql}\nPRAGMA user_version = {number};")
        with database:
            row = (1, event.tenant, event.kind, event.ref, event.at, encode_event(event))
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", row)
    return {FILE: (folder / FILE).read_bytes()}
