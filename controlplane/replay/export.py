"""The journal's decisions as Parquet files, by tenant, point and day, for whoever reads those and for large replays.

The journal is gone through twice: what is in force at its end says which decisions can be read together, and only then
is known which have no place. No more than `HELD` decisions are in memory.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from auditor.events import AnyEvent, Configured, Decided
from auditor.logged import OTHER_SPEC, DecisionLog
from auditor.policy_events import PolicySet, Promoted, RolledBack
from auditor.state import State
from strategist.evaluation import LoggedDecision

from ..checkpoints import write_atomically
from ..errors import UnusableLog
from ..journal import Journal
from ..origin import Origin
from ..refold import events
from .exported import Key, encoded, place
from .log import Progress
from .window import left_out

HELD = 200_000  # decisions, before the largest part is written
WRITTEN = (".parquet", ".tmp")  # what the names of an export's files end with
RULES = Configured | PolicySet | Promoted | RolledBack


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported of a tenant's point, and what was not and why."""

    tenant: str
    point: str
    files: int
    decisions: int
    left_out: list[str]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported, up to which event."""

    folder: str
    seq: int
    files: int
    decisions: int
    size_bytes: int
    parts: list[Part]


class PartWriter:
    """Decisions that wait to be written, by place and day: no more than `most` of them."""

    def __init__(self, folder: Path, most: int = HELD) -> None:
        self._folder, self._most = folder, most
        self._days: dict[Key, str] = {}
        self._waiting: defaultdict[Key, list[LoggedDecision]] = defaultdict(list)
        self._held = self.size_bytes = 0
        self.files: Counter[Key] = Counter()  # of all days
        self._numbers: Counter[Key] = Counter()  # of the day under way
        self.decisions: Counter[Key] = Counter()

    def add(self, key: Key, at: float, decision: LoggedDecision) -> None:
        """A decision that was learnt at a time [s since 1970]; a clock that was put back begins no earlier day."""
        day = max(str(np.datetime64(int(at), "s").astype("datetime64[D]")), self._days.get(key, ""))
        if day != self._days.get(key, day):
            self._write(key)
            self._numbers[key] = 0
        self._days[key] = day
        self._waiting[key].append(decision)
        self._held += 1
        if self._held >= self._most:
            self._write(max(self._waiting, key=lambda each: len(self._waiting[each])))

    def finish(self) -> None:
        for key in list(self._waiting):
            self._write(key)

    def _write(self, key: Key) -> None:
        """Raises OSError."""
        if not (waiting := self._waiting.pop(key, [])):
            return
        path = self._folder / place(*key, self._days[key], self._numbers[key])
        path.parent.mkdir(parents=True, exist_ok=True)
        content = encoded(waiting)
        write_atomically(path, content)
        self._held -= len(waiting)
        self.size_bytes += len(content)
        self.files[key] += 1
        self._numbers[key] += 1
        self.decisions[key] += len(waiting)


class _Reading:
    """A journal's decisions of every tenant and point, and which of them can be read together."""

    def __init__(self, begin: State) -> None:
        self._begin = begin
        self._rules: list[tuple[int, AnyEvent]] = []
        self._logs: dict[str, dict[str, DecisionLog]] = defaultdict(dict)  # by tenant and point
        self._specs: dict[Key, str] = {}
        self._others: Counter[Key] = Counter()

    def survey(self, seq: int, event: AnyEvent) -> None:
        """The first time: which points there are, and what is in force in the end."""
        if isinstance(event, RULES):
            self._rules.append((seq, event))
        elif isinstance(event, Decided) and event.trace.point not in self._logs[event.tenant]:
            self._logs[event.tenant][event.trace.point] = DecisionLog(event.tenant, event.trace.point, self._begin)

    def surveyed(self) -> None:
        for tenant, points in self._logs.items():
            for point in points:
                ahead = DecisionLog(tenant, point, self._begin)
                for seq, event in self._rules:
                    ahead.apply(seq, event)
                self._specs[tenant, point] = ahead.spec

    def read(self, seq: int, event: AnyEvent) -> Iterator[tuple[Key, LoggedDecision]]:
        """The second time: what was learnt by an event."""
        concerned = self._logs if isinstance(event, RULES) else (event.tenant,)
        for tenant in concerned:
            for point, log in self._logs.get(tenant, {}).items():
                log.apply(seq, event)
                for spec, decision in log.take():
                    if spec == self._specs[tenant, point]:
                        yield (tenant, point), decision
                    else:
                        self._others[tenant, point] += 1

    def parts(self, written: PartWriter, origin: Origin) -> list[Part]:
        return [
            Part(
                tenant=tenant,
                point=point,
                files=written.files[tenant, point],
                decisions=written.decisions[tenant, point],
                left_out=left_out(log.left_out + Counter({OTHER_SPEC: self._others[tenant, point]}), log.open, origin),
            )
            for tenant, points in sorted(self._logs.items())
            for point, log in sorted(points.items())
        ]


async def export(journal: Journal, origin: Origin, folder: Path, progress: Progress) -> Exported:
    """Write every decision that can be learnt from to a new folder; it is there whole, or not at all.

    Raises:
      UnusableLog: something is in the folder, it cannot be written, or pyarrow is not there.
      JournalDamaged: an event is not what was written, or missing.
    """
    try:
        unfinished = _begun(folder)
        made = await _written(journal, origin, unfinished, progress)
        unfinished.replace(folder)
    except OSError as error:
        raise UnusableLog(f"{folder} cannot be written: {error.strerror or error}") from error
    return msgspec.structs.replace(made, folder=str(folder))


def _begun(folder: Path) -> Path:
    """Where the export grows until it is whole; what an interrupted one left there goes.

    Raises:
      UnusableLog: something is in the folder, or what no export writes is where it would grow.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UnusableLog(f"{folder} is there already; name a new folder, or delete it")
    unfinished = folder.with_name(folder.name + ".part")
    if unfinished.exists():
        if any(file.suffix not in WRITTEN for file in (unfinished, *unfinished.rglob("*")) if file.is_file()):
            raise UnusableLog(f"{unfinished} is needed, and is not what an export left; move it away")
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    return unfinished


async def _written(journal: Journal, origin: Origin, folder: Path, progress: Progress) -> Exported:
    seq, reading, writer = journal.last_seq, _Reading(origin.state()), PartWriter(folder)
    async for recorded in events(journal, seq, origin.seq):
        reading.survey(recorded.seq, recorded.event)
        progress(recorded.seq, 2 * seq)
    reading.surveyed()
    async for recorded in events(journal, seq, origin.seq):
        for key, decision in reading.read(recorded.seq, recorded.event):
            writer.add(key, recorded.event.at, decision)
        progress(seq + recorded.seq, 2 * seq)
    writer.finish()
    return Exported(
        folder=str(folder),
        seq=seq,
        files=writer.files.total(),
        decisions=writer.decisions.total(),
        size_bytes=writer.size_bytes,
        parts=reading.parts(writer, origin),
    )
