"""Replays that tenants ask for over HTTP: one at a time in a process of its own, so that no call waits for it.

Nothing of them is journalled. Each has a file in the data folder: a restart goes on with what was under way.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import structlog

from auditor import Learner

from ..contract import ReplayAnswer, ReplayRequest
from ..contract.replays import ReplayState
from ..errands import Errands
from ..errors import (
    NO_SPACE,
    InternalError,
    PointsmanError,
    ReplayUnderWay,
    StorageFull,
    Unavailable,
    UnknownPoint,
    UnknownReplay,
)
from ..ids import new_id
from ..masking import masked
from .at_rest import REPLAY_FOLDER, ReplayAtRest, ReplayFiles
from .policy_file import completed, policy_of
from .run import LEAST
from .window import Window
from .worker import Order

log = structlog.get_logger()
KEPT = 10  # replays of a tenant that can still be asked about
MOST_BEGUN = 3  # processes for one replay: one that takes the server down with it would do so at every start
WORKER = "controlplane.replay.worker"
LINE = 1 << 24  # bytes of a report at most
LONGEST = 500  # characters of a defect that are logged


class Job:
    """One replay."""

    def __init__(self, replay_id: str, kept: ReplayAtRest) -> None:
        self.replay_id, self.kept = replay_id, kept
        self.task: asyncio.Task[None] | None = None
        self.writing = asyncio.Lock()  # what is written last is what is meant last
        self.news = asyncio.Event()  # set at the next change, and replaced

    @property
    def over(self) -> bool:
        return self.kept.over

    def note(self, kept: ReplayAtRest) -> None:
        """Take in how far it is; whoever waits for a change hears of it."""
        self.kept = kept
        news, self.news = self.news, asyncio.Event()
        news.set()

    def ended(self, state: ReplayState, why: str | None = None, report: dict[str, Any] | None = None) -> ReplayAtRest:
        return msgspec.structs.replace(self.kept, state=state, why=why, report=report)

    def answer(self) -> ReplayAnswer:
        kept = self.kept
        return ReplayAnswer(
            replay_id=self.replay_id, state=kept.state, done=kept.done, of=kept.of, why=kept.why, report=kept.report
        )


class Replays:
    """All tenants' replays; each tenant has one that is not over at most."""

    def __init__(self, folder: str, database_url: str | None, learner: Learner) -> None:
        self._folder, self._database_url, self._learner = folder, database_url, learner
        self._files = ReplayFiles(Path(folder) / REPLAY_FOLDER)
        self._jobs: dict[str, dict[str, Job]] = {}
        self._turn, self._errands = asyncio.Lock(), Errands()

    def go_on(self) -> None:
        """Take up what an earlier process of this server left."""
        for replay_id, kept in self._files.read().items():
            job = Job(replay_id, kept if kept.over else msgspec.structs.replace(kept, state="waiting"))
            self._jobs.setdefault(kept.window.tenant, {})[replay_id] = job
            if not job.over:
                self._begin(job)

    async def start(self, tenant: str, asked: ReplayRequest) -> Job:
        """Begin a replay of the tenant's own decisions.

        Raises:
          UnknownPoint, UnusablePolicy: there is no such point, or the policy is none.
          ReplayUnderWay: one of the tenant's is not over yet.
          StorageFull, Unavailable: it could not be written down.
        """
        return await self._errands.finish(self._start(tenant, asked))

    async def _start(self, tenant: str, asked: ReplayRequest) -> Job:
        fold = self._learner.state.of(tenant)
        rules = fold.rules.points.get(asked.point)
        if rules is None:
            raise UnknownPoint
        document = completed(asked.policy, rules.policy)
        policy_of(document)
        jobs = self._jobs.setdefault(tenant, {})
        if any(not job.over for job in jobs.values()):
            raise ReplayUnderWay
        last = asked.last or self._learner.version  # what comes later is not in it, whenever it is carried out
        window = Window(tenant=tenant, point=asked.point, first=asked.first, last=last, newest=asked.decisions)
        job = Job(new_id("rp"), ReplayAtRest(window=window, policy=document))
        made = fold.counts[asked.point].decisions
        if (known := min(made, asked.decisions or made)) < LEAST:
            job.kept = job.ended("failed", f"the log has at most {known} decision(s); a replay needs {LEAST}")
        jobs[job.replay_id] = job
        await self._first_written(jobs, job)
        if not job.over:
            self._begin(job)
        return job

    async def _first_written(self, jobs: dict[str, Job], job: Job) -> None:
        """Have it on disk, in the place of the oldest."""
        try:
            with _refusing():
                while len(jobs) > KEPT:
                    self._files.forget(oldest := next(iter(jobs)))
                    del jobs[oldest]
                await self._written(job, job.kept)
        except PointsmanError:
            del jobs[job.replay_id]
            raise

    def of(self, tenant: str, replay_id: str) -> Job:
        """Raises UnknownReplay."""
        try:
            return self._jobs[tenant][replay_id]
        except KeyError as error:
            raise UnknownReplay from error

    async def cancel(self, tenant: str, replay_id: str) -> None:
        """End a replay, or forget one that is over.

        Raises:
          UnknownReplay: there is none of this name.
          StorageFull, Unavailable: it could not be written down.
        """
        await self._errands.finish(self._cancel(tenant, replay_id))

    async def _cancel(self, tenant: str, replay_id: str) -> None:
        job = self.of(tenant, replay_id)
        if job.task is not None and not job.over:
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)
            await self._end(job, job.ended("cancelled"))
            return
        with _refusing():
            self._files.forget(replay_id)
        self._jobs[tenant].pop(replay_id, None)

    async def close(self) -> None:
        """Stop what is under way; the next start goes on with it, and this one does not count."""
        under_way = [job for jobs in self._jobs.values() for job in jobs.values() if not job.over]
        tasks = [job.task for job in under_way if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in under_way:
            await self._write(job, msgspec.structs.replace(job.kept, begun=0))

    def _begin(self, job: Job) -> None:
        job.task = asyncio.create_task(self._run(job), name="replay")

    async def _run(self, job: Job) -> None:
        """In turn, unless that was tried too often."""
        async with self._turn:
            if job.kept.begun == MOST_BEGUN:
                why = f"it was begun {MOST_BEGUN} times, and each time the server died before it was done"
                await self._end(job, job.ended("failed", why))
                return
            begun = msgspec.structs.replace(job.kept, state="running", begun=job.kept.begun + 1)
            await self._write(job, begun)
            job.note(begun)
            try:
                ended = await self._carried_out(job)
            except (OSError, ValueError) as error:
                ended = job.ended("failed", f"the replay's process could not be followed: {error}")
            await self._end(job, ended)

    async def _carried_out(self, job: Job) -> ReplayAtRest:
        """By a process, until it has told the end, or died."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE,
        )
        blocks = str(self._files.blocks(job.replay_id))
        order = Order(
            folder=self._folder,
            database_url=self._database_url,
            window=job.kept.window,
            policy=job.kept.policy,
            blocks=blocks,
        )
        try:
            return await _followed(process, job, order)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _end(self, job: Job, ended: ReplayAtRest) -> None:
        await self._write(job, ended)
        job.note(ended)

    async def _write(self, job: Job, kept: ReplayAtRest) -> None:
        try:
            await self._errands.finish(self._written(job, kept))
        except OSError as error:
            costs = "a restart goes on from what is on disk"
            log.error("replay_not_written", replay_id=job.replay_id, error=str(error), costs=costs)

    async def _written(self, job: Job, kept: ReplayAtRest) -> None:
        async with job.writing:
            await asyncio.to_thread(self._files.write, job.replay_id, kept)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise StorageFull from error
        raise Unavailable(f"The replay's file could not be written ({error.strerror}); nothing was changed.") from error


async def _followed(process: asyncio.subprocess.Process, job: Job, order: Order) -> ReplayAtRest:
    """Hand the order over and take in what is told, to the last line."""
    asked, told, complaints = process.stdin, process.stdout, process.stderr
    if asked is None or told is None or complaints is None:
        raise InternalError
    complained = asyncio.create_task(complaints.read())
    asked.write(msgspec.json.encode(order))
    asked.close()
    last: dict[str, Any] = {}
    while line := await told.readline():
        last = msgspec.json.decode(line)
        if not last.keys() & {"why", "report"}:
            job.note(msgspec.structs.replace(job.kept, done=last.get("done", 0), of=last.get("of", 0)))
    code = await process.wait()
    if (report := last.get("report")) is not None:
        return job.ended("done", report=report)
    if (why := last.get("why")) is None:
        why = f"the replay's process ended with code {code} before it was done"
        log.error("replay_died", replay_id=job.replay_id, code=code, error=_last_line(await complained))
    return job.ended("failed", why)


def _last_line(complained: bytes) -> str:
    """Of a traceback: the defect."""
    return str(masked(complained.decode(errors="replace").strip().rpartition("\n")[2][:LONGEST]))
