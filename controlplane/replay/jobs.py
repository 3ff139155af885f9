"""Replays that tenants ask for over HTTP: one at a time in a process of its own, so that no call waits for it.

They are kept in memory: nothing of them is journalled, and a restart forgets them.
"""

import asyncio
import contextlib
import sys
from typing import Any

import msgspec

from auditor import Learner

from ..contract import ReplayAnswer, ReplayRequest
from ..contract.replays import ReplayState
from ..errors import InternalError, ReplayUnderWay, UnknownPoint, UnknownReplay
from ..ids import new_id
from .policy_file import policy_of
from .run import LEAST
from .window import Window
from .worker import Order

KEPT = 10  # replays of a tenant that can still be asked about
WORKER = "controlplane.replay.worker"
LINE = 1 << 24  # bytes of a report at most
OVER = ("done", "failed", "cancelled")


class Job:
    """One replay."""

    def __init__(self, order: Order) -> None:
        self.replay_id, self.order = new_id("rp"), order
        self.state: ReplayState = "waiting"
        self.done = self.of = 0
        self.why: str | None = None
        self.report: dict[str, Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()  # set at the next change, and replaced

    @property
    def over(self) -> bool:
        return self.state in OVER

    def note(self, state: ReplayState, told: dict[str, Any]) -> None:
        """Take in how far it is; whoever waits for a change hears of it."""
        self.state, self.done, self.of = state, told.get("done", self.done), told.get("of", self.of)
        self.why, self.report = told.get("why"), told.get("report")
        news, self.news = self.news, asyncio.Event()
        news.set()

    def answer(self) -> ReplayAnswer:
        return ReplayAnswer(
            replay_id=self.replay_id, state=self.state, done=self.done, of=self.of, why=self.why, report=self.report
        )


class Replays:
    """All tenants' replays; each tenant has one that is not over at most."""

    def __init__(self, folder: str, learner: Learner) -> None:
        self._folder, self._learner = folder, learner
        self._jobs: dict[str, dict[str, Job]] = {}
        self._turn = asyncio.Lock()

    def start(self, tenant: str, asked: ReplayRequest) -> Job:
        """Begin a replay of the tenant's own decisions.

        Raises:
          UnknownPoint, UnusablePolicy: there is no such point, or the policy is none.
          ReplayUnderWay: one of the tenant's is not over yet.
        """
        rules = self._learner.state.of(tenant).rules.points.get(asked.point)
        if rules is None:
            raise UnknownPoint
        document = asked.policy or {"policy": msgspec.to_builtins(rules.policy)}
        policy_of(document)
        jobs = self._jobs.setdefault(tenant, {})
        if any(not job.over for job in jobs.values()):
            raise ReplayUnderWay
        window = Window(tenant=tenant, point=asked.point, first=asked.first, last=asked.last, newest=asked.decisions)
        job = Job(Order(folder=self._folder, window=window, policy=document))
        jobs[job.replay_id] = job
        while len(jobs) > KEPT:
            del jobs[next(iter(jobs))]
        made = self._learner.state.of(tenant).counts[asked.point].decisions
        if (known := min(made, asked.decisions or made)) < LEAST:
            job.note("failed", {"why": f"the log has at most {known} decision(s); a replay needs {LEAST}"})
        else:
            job.task = asyncio.create_task(self._run(job), name="replay")
        return job

    def of(self, tenant: str, replay_id: str) -> Job:
        """Raises UnknownReplay."""
        try:
            return self._jobs[tenant][replay_id]
        except KeyError as error:
            raise UnknownReplay from error

    def cancel(self, tenant: str, replay_id: str) -> None:
        """End a replay, or forget one that is over.

        Raises:
          UnknownReplay: there is none of this name.
        """
        job = self.of(tenant, replay_id)
        if job.over:
            del self._jobs[tenant][replay_id]
        elif job.task is not None:
            job.task.cancel()
            job.note("cancelled", {})

    async def close(self) -> None:
        """End what is under way."""
        tasks = [job.task for jobs in self._jobs.values() for job in jobs.values() if job.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        """In turn, until its process has told the end, or died."""
        async with self._turn:
            job.note("running", {})
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                WORKER,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                limit=LINE,
            )
            try:
                await _followed(process, job)
            finally:
                if process.returncode is None:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()


async def _followed(process: asyncio.subprocess.Process, job: Job) -> None:
    """Hand the order over and take in what is told, to the last line."""
    order, told = process.stdin, process.stdout
    if order is None or told is None:
        raise InternalError
    order.write(msgspec.json.encode(job.order))
    order.close()
    last: dict[str, Any] = {}
    while line := await told.readline():
        last = msgspec.json.decode(line)
        if not last.keys() & {"why", "report"}:
            job.note("running", last)
    code = await process.wait()
    if last.get("report") is not None:
        job.note("done", last)
    else:
        job.note("failed", {"why": last.get("why", f"the replay's process ended with code {code} before it was done")})
