"""Named places where the process can be made to die, or a call to fail, to prove what a crash costs. Off by default.

`POINTSMAN_FAILPOINTS=journal.insert:kill@3,file.synced:error@1`: at the third pass of the first the process dies
as of `kill -9`; at the first pass of the second the error is raised that this place can meet. A place is written
`failpoint("name")`; while nothing is armed it costs a call and one look at an empty dictionary.
"""

import errno
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

Raised = Callable[[], Exception]


class Failpoint(NamedTuple):
    """A place by what has happened when it is passed, and the error it can meet; without one it only kills."""

    passed: str
    error: Raised | None = None


def _disk() -> Exception:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def _database() -> Exception:
    return sqlite3.OperationalError("disk I/O error")


FAILPOINTS: dict[str, Failpoint] = {
    "start.locked": Failpoint("the data folder is locked, nothing is open"),
    "journal.migrate": Failpoint("the next step of the schema is about to be made", _database),
    "start.configured": Failpoint("the settings' rules are committed, not folded"),
    "journal.insert": Failpoint("a group is about to be committed", _database),
    "journal.committed": Failpoint("a group is committed, nobody has heard of it"),
    "journal.records": Failpoint("records of learnt decisions are about to be written", _database),
    "journal.recorded": Failpoint("records of learnt decisions are written"),
    "shared.migrate": Failpoint("the next step of PostgreSQL's schema is about to be made"),
    "shared.append": Failpoint("a group is about to be sent to PostgreSQL"),
    "shared.committed": Failpoint("a group is committed by PostgreSQL, nobody has heard of it"),
    "shared.records": Failpoint("records of learnt decisions are about to be sent to PostgreSQL"),
    "shared.copied": Failpoint("a page of an embedded journal is committed by PostgreSQL, the copy goes on"),
    "shared.erase": Failpoint("an event's content is about to be overwritten in PostgreSQL"),
    "shared.filed": Failpoint("the archive's file is on disk, PostgreSQL is as it was"),
    "shared.archived": Failpoint("what the archive took has left PostgreSQL, nobody has heard of it"),
    "replica.leading": Failpoint("the lease is this replica's, what the one before owed is not"),
    "replica.published": Failpoint("the learnt state is published for other replicas"),
    "vectors.write": Failpoint("changes are written in a transaction of pgvector's database that is not committed"),
    "vectors.written": Failpoint("changes are on the vectors' server, they are not noted as written"),
    "vectors.filled": Failpoint("a new generation of vectors has everything, the old one serves"),
    "journal.erase": Failpoint("an event's content is about to be overwritten", _database),
    "journal.erased": Failpoint("contents are overwritten, the log still holds them", _database),
    "file.written": Failpoint("a recovery file or checkpoint is written under its temporary name, not synced", _disk),
    "file.synced": Failpoint("it is synced under its temporary name", _disk),
    "file.renamed": Failpoint("it has its name, the folder is not synced", _disk),
    "recovery.dumped": Failpoint("the learnt state is dumped, its records are not written"),
    "recovery.prune": Failpoint("a new recovery file is there, the oldest is not deleted", _disk),
    "checkpoint.filed": Failpoint("a checkpoint's file is there, its event is not"),
    "checkpoint.appended": Failpoint("a checkpoint's event is committed, nobody has heard of it"),
    "restore.appended": Failpoint("a restore is committed, not folded"),
    "prune.appended": Failpoint("a pruning of checkpoints is committed, their files are not deleted"),
    "feedback.appended": Failpoint("a report is committed, not folded"),
    "validation.appended": Failpoint("a validation is committed, not folded"),
    "capture.appended": Failpoint("a capture is committed, not folded"),
    "purge.appended": Failpoint("a purge is committed, the contents are not overwritten"),
    "purge.page": Failpoint("a page of a purge by key is committed, neither its contents are overwritten nor the rest"),
    "expiry.appended": Failpoint("the ends of windows are committed, not folded"),
    "budget.reserved": Failpoint("what a call may cost is held and committed, the call is not made"),
    "budget.settled": Failpoint("what a call cost is committed, nobody has heard of it"),
    "archive.laid": Failpoint("the base of an archive is on disk, its file is not there yet"),
    "archive.filed": Failpoint("the archive's file is on disk, the journal is as it was"),
    "archive.moving": Failpoint("what the archive took has left the journal in a transaction that is not committed"),
    "archive.moved": Failpoint("it is committed, the database and its log still have the space"),
    "reflection.appended": Failpoint("a reflection is committed, its job is not done"),
    "query.appended": Failpoint("a session's query is committed, nobody has heard of it"),
    "session.appended": Failpoint("the outcome of a session is committed, not folded"),
    "ranker.appended": Failpoint("new weights of the ranker are committed, not folded"),
    "skill.appended": Failpoint("a skill's words are committed, not folded"),
    "eviction.appended": Failpoint("the eviction of a reflection is committed, its text is not overwritten"),
    "documents.appended": Failpoint("documents are kept or dropped and committed, former contents are not overwritten"),
    "outbox.done": Failpoint("a job is done outside, nothing is written about it"),
    "shutdown.recovery": Failpoint("everything is folded, the last recovery file is not written", _disk),
}

_ITEM = re.compile(r"([a-z.]+):(kill|error)@([1-9]\d{0,8})")


class Armed:
    """One failpoint that is switched on: it acts at its n-th pass, once."""

    def __init__(self, name: str, act: str, at: int) -> None:
        self.name, self.act, self.at = name, act, at
        self.passes = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.act}@{self.at}"

    def passing(self) -> None:
        self.passes += 1
        if self.passes != self.at:
            return
        if self.act == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raised = FAILPOINTS[self.name].error
        assert raised is not None
        raise raised()


_armed: dict[str, Armed] = {}


def failpoint(name: str) -> None:
    """Pass a named place."""
    if _armed and (armed := _armed.get(name)) is not None:
        armed.passing()


def arm(spec: str) -> list[str]:
    """Switch on what `spec` names and nothing else; what is on.

    Raises:
      ValueError: the message says what a failpoint looks like and lists them all.
    """
    chosen = read(spec)
    _armed.clear()
    _armed.update({armed.name: armed for armed in chosen})
    return on()


def on() -> list[str]:
    """The failpoints that are switched on."""
    return [str(armed) for armed in _armed.values()]


def read(spec: str) -> list[Armed]:
    """The failpoints a setting names. Raises ValueError as `arm` does."""
    return [_read_item(item.strip()) for item in spec.split(",") if item.strip()]


def _read_item(item: str) -> Armed:
    found = _ITEM.fullmatch(item)
    if found is None or found[1] not in FAILPOINTS:
        raise ValueError(f"{item!r} is no failpoint; write name:kill@3 or name:error@1, names: {', '.join(FAILPOINTS)}")
    if found[2] == "error" and FAILPOINTS[found[1]].error is None:
        able = ", ".join(name for name, point in FAILPOINTS.items() if point.error is not None)
        raise ValueError(f"{found[1]} meets no error and only kills; errors can be had at: {able}")
    return Armed(found[1], found[2], int(found[3]))
