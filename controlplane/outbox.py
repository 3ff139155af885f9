"""The outbox: work that is owed to the world outside stands in the journal, is tried until it is done, and given up in
the end. Each job is done at least once: a crash between a deed and its record repeats it, under the same id.

A try is leased and numbered. Its deed ends by its own deadline, and the next try begins when the lease is over, so no
two are under way at once; what comes of an older one does not count. What happens to a job holds at once and is
journalled before the deed; while the journal is in trouble it is kept in memory, and journalled when that is over.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

import structlog

from auditor.events import (
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
    Recorded,
)

from .clock import Clock
from .errors import PointsmanError
from .failpoints import failpoint
from .ids import new_id
from .jobs import Job, Jobs
from .journal import Journal, acting_for_all

log = structlog.get_logger()
DEADLINE_S, LEASE_S = 5.0, 15.0  # of an alarm, and of its try
PAUSE_S, LONGEST_PAUSE_S = 10.0, 3600.0  # the pause is drawn from 0 to this, which doubles with each try
TRIES, LONGEST_S = 40, 86_400.0  # after which an alarm, and any job, is given up
MOST_OPEN, MOST_UNWRITTEN = 100, 2000


class Work(NamedTuple):
    """A kind of work: what it means, how long a deed and its try may take, and how many tries and jobs there may be."""

    means: str
    deadline_s: float
    lease_s: float
    tries: int
    most_open: int
    at_once: int


# Every kind of work there is. docs/operations.md has the same table.
WORK = {
    "alarm": Work("an alarm is sent to `alarm_url`", DEADLINE_S, LEASE_S, TRIES, MOST_OPEN, 1),
    "broker": Work("the broker is told what happened to memory", DEADLINE_S, LEASE_S, TRIES, 10_000, 256),
    "reflection": Work("a language model reflects on a captured failure", 100.0, 300.0, 8, 1000, 4),
    "skill_text": Work("a language model puts a skill into words", 50.0, 150.0, 8, 100, 1),
    "webhook": Work("a webhook is told what happened to memory", DEADLINE_S, LEASE_S, TRIES, MOST_OPEN, 32),
    "reuse_check": Work(
        "a reused reflection is compared with what a model says of the failure", 50.0, 150.0, 3, 100, 1
    ),
}
assert all(of.lease_s >= 3 * of.deadline_s for of in WORK.values()), (
    "a deed that is late may still be on its way when its deadline is over"
)
PAGE, NOBODY = 1000, ""
QUIET_S = 60.0  # in which giving up jobs of one work is logged once
TICK_S = 1.0

Deed = Callable[[Job], Awaitable[None]]
JobEvent = JobAdded | JobLeased | JobFailed | JobEnded


class Owed(NamedTuple):
    """A job that follows from an event, which another process owes unless it dies before."""

    work: str
    about: str
    body: object
    cause: int
    among: str


class TryFailed(Exception):
    """The deed was not done this time; the message says why, without an address."""


class Outbox:
    """Holds the open jobs; `deeds` does those whose work it names, the others wait until they are too old."""

    def __init__(self, journal: Journal, clock: Clock, deeds: Mapping[str, Deed], seed: int | None) -> None:
        assert deeds.keys() <= WORK.keys()
        self.jobs = Jobs()
        self.left_out = 0  # jobs that were not taken because too much waits
        self._journal, self._clock, self._deeds = journal, clock, deeds
        self._rng = random.Random(seed)
        self._unwritten: list[JobEvent] = []
        self._noted: set[tuple[str, str, int]] = set()  # of this process, and not folded yet
        self._led = False
        self._meanwhile: list[Recorded] | None = None  # what was folded while the log is read
        self._position = 0  # in the log, up to where it was read at the start
        self._elsewhere: dict[str, deque[Owed]] = {work: deque(maxlen=MOST_UNWRITTEN) for work in deeds}
        self._quiet_until: dict[str, float] = {}  # by work
        self._writing, self._many = asyncio.Lock(), asyncio.Event()

    @property
    def unwritten(self) -> int:
        """Events that are not journalled yet."""
        return len(self._unwritten)

    async def load(self) -> None:
        """Fold what the journal has, and what is folded meanwhile after it."""
        after, self._meanwhile = 0, []
        while page := await self._journal.read_jobs(after, PAGE):
            for recorded in page:
                self.jobs.apply(recorded.event)
            after = page[-1].seq
        self._position = after
        self.jobs.take_over()
        meanwhile, self._meanwhile = self._meanwhile, None
        for recorded in meanwhile:
            self.observe(recorded)

    def observe(self, recorded: Recorded) -> None:
        """What another replica noted holds here, too."""
        event = recorded.event
        if self._meanwhile is not None:
            self._meanwhile.append(recorded)
            return
        if recorded.seq <= self._position or not isinstance(event, JobEvent):
            return
        if (key := _key(event)) in self._noted:
            self._noted.remove(key)
        else:
            self.jobs.apply(event)
        if isinstance(event, JobAdded):
            self._forget_elsewhere(event.work, event.cause)

    def take_over(self) -> None:
        """This process leads from here on: owe what the one before did not live to, and try what it tried."""
        self._led = True
        self.jobs.take_over()
        waiting = [owed for of_work in self._elsewhere.values() for owed in of_work]
        owed = [owed for owed in waiting if not self.jobs.followed(owed.work, owed.cause)]
        for of_work in self._elsewhere.values():
            of_work.clear()
        for of_another in owed:
            self._add(*of_another)

    def published(self, seq: int) -> None:
        """What follows from events up to here is journalled: who led wrote it before its snapshot."""
        for work in self._elsewhere:
            self._forget_elsewhere(work, seq)

    def _owe_elsewhere(self, owed: Owed) -> None:
        waiting = self._elsewhere[owed.work]
        self.left_out += len(waiting) == MOST_UNWRITTEN  # the oldest goes
        waiting.append(owed)

    def _forget_elsewhere(self, work: str, seq: int) -> None:
        waiting = self._elsewhere.get(work)
        while waiting and waiting[0].cause <= seq:
            waiting.popleft()

    def follows(self, work: str, recorded: Recorded) -> bool:
        """Whether jobs can follow from an event that was folded: not when they did before, nor when it is old."""
        return not self.jobs.followed(work, recorded.seq) and self._clock.now() - recorded.event.at <= LONGEST_S

    def add(self, work: str, about: str, body: object, cause: int = 0, *, among: str = "") -> None:
        """Owe a job, in the place of an open one of the same work about the same thing; of too many the oldest goes.

        Too many are counted among those that are about things that begin so. Where nobody does such work, nothing is
        owed.
        """
        assert work in WORK
        if work not in self._deeds:
            return
        if cause and not self._journal.leads:
            self._owe_elsewhere(Owed(work, about, body, cause, among))
        else:
            self._add(work, about, body, cause, among)

    def _add(self, work: str, about: str, body: object, cause: int, among: str) -> None:
        if self.unwritten >= MOST_UNWRITTEN:
            self.left_out += 1
            return
        at = self._clock.now()
        self._note(JobAdded(tenant=NOBODY, at=at, job_id=new_id("jb"), work=work, about=about, body=body, cause=cause))
        if self.jobs.count[work] > WORK[work].most_open:
            self._make_room(work, among)

    def _make_room(self, work: str, among: str) -> None:
        of_work = [job for job in self.jobs.open.values() if job.work == work and not job.trying]
        alike = [job for job in of_work if job.about.startswith(among)]
        if len(alike) > WORK[work].most_open:
            self._give_up(min(alike, key=lambda job: job.at), f"{WORK[work].most_open} newer ones are open")

    async def run(self, work: str, before: Callable[[], None], able: Callable[[], bool] = lambda: True) -> None:
        """Tick for ever, each time after `before` and where it is `able`; no kind of work waits for another."""
        while True:
            try:
                before()
                if able():
                    await self.tick(work)
            except Exception:  # a loop that ends silently would leave everything undone
                log.exception("outbox_tick_failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._many.wait()

    async def tick(self, work: str) -> None:
        """Journal what is not yet, give up what is too old, and try those jobs of a work that are due the longest."""
        if not self._journal.leads:
            if self._led and self._journal.trouble is None:
                await self._step_down()
            await self._written()
            return
        with acting_for_all():
            await self._tick(work)

    async def _tick(self, work: str) -> None:
        await self._written()
        now = self._clock.now()
        too_old = [job for job in self.jobs.open.values() if now - job.at > LONGEST_S and not job.trying]
        for job in too_old[: max(0, MOST_UNWRITTEN - self.unwritten)]:
            self._give_up(job, f"not done within {LONGEST_S / 3600:g} h{_because(job.why)}")
        due = [job for job in self.jobs.open.values() if job.work == work and _due(job, now)]
        if due and work in self._deeds and self.unwritten < MOST_UNWRITTEN:
            first = sorted(due, key=lambda job: job.due)[: WORK[work].at_once]
            tries = [self._try(job, self._leased(job)) for job in first]
            await asyncio.gather(*(asyncio.create_task(each, name="outbox try") for each in tries))
        await self._written()

    async def _step_down(self) -> None:
        """Another replica leads, and does what this one did not write down: begin again with the log."""
        async with self._writing:
            former, self.jobs = self.jobs, Jobs()
            try:
                await self.load()
            except PointsmanError:
                self.jobs, meanwhile, self._meanwhile = former, self._meanwhile or [], None
                for recorded in meanwhile:
                    self.observe(recorded)
                raise
            added = [event for event in self._unwritten if isinstance(event, JobAdded)]
            for job in added:
                if job.cause:
                    self._owe_elsewhere(Owed(job.work, job.about, job.body, job.cause, ""))
            self._unwritten = [event for event in added if not event.cause]
            self._noted = {_key(event) for event in self._unwritten}
            for event in self._unwritten:
                self.jobs.apply(event)
            self._led = False

    async def flush(self) -> None:
        """Journal what is not journalled yet.

        Raises:
          StorageFull, JournalUnavailable, Overloaded: nothing was written; it stays at hand.
        """
        async with self._writing:
            if batch := self._unwritten[:]:
                await self._journal.append(*batch)
                del self._unwritten[: len(batch)]

    async def _written(self) -> None:
        """Journal what can be: in trouble, the journal finds out by itself when it is over."""
        if self._journal.trouble is not None:
            return
        try:
            await self.flush()
        except PointsmanError as error:
            log.warning("outbox_not_journalled", error=str(error), events=self.unwritten, until="the journal heals")

    def _leased(self, job: Job) -> JobLeased:
        """A try, which nobody else begins from here on."""
        at = self._clock.now()
        until = at + WORK[job.work].lease_s
        lease = JobLeased(tenant=NOBODY, at=at, job_id=job.job_id, fence=job.fence + 1, until=until)
        self._note(lease)
        return lease

    async def _try(self, job: Job, lease: JobLeased) -> None:
        await self._written()
        try:
            await self._deeds[job.work](job)
        except TryFailed as failure:
            self._failed(job, str(failure), lease.until)
        else:
            failpoint("outbox.done")
            self._note(JobEnded(tenant=NOBODY, at=self._clock.now(), job_id=job.job_id, fence=lease.fence))

    def _failed(self, job: Job, why: str, until: float) -> None:
        if job.fence >= WORK[job.work].tries:
            self._give_up(job, f"{job.fence} tries failed, the last: {why}")
            return
        now = self._clock.now()
        pause_s = self._rng.random() * min(LONGEST_PAUSE_S, PAUSE_S * 2.0 ** (job.fence - 1))
        next_at = max(until, now + pause_s)
        log.warning("job_failed", job=job.job_id, work=job.work, tries=job.fence, why=why, again_in_s=next_at - now)
        self._note(JobFailed(tenant=NOBODY, at=now, job_id=job.job_id, fence=job.fence, why=why, next_at=next_at))

    def _give_up(self, job: Job, why: str) -> None:
        at, now = self._clock.now(), self._clock.monotonic()
        self._note(JobEnded(tenant=NOBODY, at=at, job_id=job.job_id, fence=job.fence, given_up=why))
        if now >= self._quiet_until.get(job.work, now):
            self._quiet_until[job.work] = now + QUIET_S
            ever = self.jobs.given_up_ever[job.work]
            log.error("job_given_up", job=job.job_id, work=job.work, tries=job.fence, why=why, ever=ever)

    def _note(self, event: JobEvent) -> None:
        """It holds from here on; it is journalled with the next write."""
        self.jobs.apply(event)
        self._unwritten.append(event)
        self._noted.add(_key(event))
        if self.unwritten == PAGE:  # as when thousands of episodes are purged: soon there is no room
            self._many.set()  # wakes whoever waits now, and nobody who waits later
            self._many.clear()


def _due(job: Job, now: float) -> bool:
    """What would wait longer than any pause waits for a clock that was ahead and is not any more."""
    return not now < job.due <= now + LONGEST_PAUSE_S


def _key(event: JobEvent) -> tuple[str, str, int]:
    return event.kind, event.job_id, 0 if isinstance(event, JobAdded) else event.fence


def _because(why: str | None) -> str:
    return f", the last try: {why}" if why else ""
