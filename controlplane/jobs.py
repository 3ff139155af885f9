"""What is owed to the world outside: a fold of the outbox's events, the same in memory and at every start."""

from collections import Counter, OrderedDict, deque

import msgspec

from auditor.events import (
    AnyEvent,
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
)

GIVEN_UP_KEPT, PLACES_KEPT, KNOWN_KEPT = 20, 1000, 5000


class Job(msgspec.Struct, kw_only=True):
    """An open job; times are in seconds since the epoch."""

    job_id: str
    work: str
    about: str
    body: object
    at: float
    due: float
    fence: int = 0  # of the newest try, from 1 on
    trying: bool = False
    why: str | None = None  # the last try failed


class GivenUp(msgspec.Struct, frozen=True, kw_only=True):
    """A job that nobody does any more. What it was about is not told here: that may be a tenant's."""

    job_id: str
    work: str
    at: float
    tries: int
    why: str


class Jobs:
    """All open jobs, and the last that were given up."""

    def __init__(self) -> None:
        self.open: dict[str, Job] = {}
        self.count = Counter[str]()  # of the open ones, by work
        self.given_up: deque[GivenUp] = deque(maxlen=GIVEN_UP_KEPT)
        self.given_up_ever = Counter[str]()  # by work
        self._place: dict[tuple[str, str], str] = {}  # of the open ones: id by work and what it is about
        self._last_cause: dict[str, int] = {}  # by work, the newest event that a job follows from
        self._added: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()  # ids of the newest jobs, open or not

    def apply(self, event: AnyEvent) -> None:
        """Fold one event; a result under an old fence, or of a job that is no longer open, changes nothing.

        Nor does an event that stands in the log again, for the first answer that it was written was lost.
        """
        match event:
            case JobAdded() if event.job_id not in self._known:
                self._add(event)
            case JobLeased() if event.job_id in self.open and event.fence > self.open[event.job_id].fence:
                job = self.open[event.job_id]
                job.fence, job.due, job.trying = event.fence, event.until, True
            case JobFailed() if self._current(event):
                job = self.open[event.job_id]
                job.due, job.trying, job.why = event.next_at, False, event.why
            case JobEnded() if self._current(event):
                job = self._close(event.job_id)
                if event.given_up is not None:
                    self.given_up_ever[job.work] += 1
                    self.given_up.append(
                        GivenUp(job_id=job.job_id, work=job.work, at=event.at, tries=job.fence, why=event.given_up)
                    )

    def _add(self, event: JobAdded) -> None:
        place = event.work, event.about
        self._known[event.job_id] = None
        if len(self._known) > KNOWN_KEPT:
            self._known.popitem(last=False)
        if place in self._place:
            self._close(self._place[place])
        self._place[place] = event.job_id
        self.count[event.work] += 1
        self.open[event.job_id] = Job(
            job_id=event.job_id, work=event.work, about=event.about, body=event.body, at=event.at, due=event.at
        )
        self._last_cause[event.work] = max(self._last_cause.get(event.work, 0), event.cause)
        self._added[place] = event.at
        self._added.move_to_end(place)
        if len(self._added) > PLACES_KEPT:
            self._added.popitem(last=False)

    def _close(self, job_id: str) -> Job:
        job = self.open.pop(job_id)
        del self._place[job.work, job.about]
        self.count[job.work] -= 1
        return job

    def _current(self, event: JobFailed | JobEnded) -> bool:
        job = self.open.get(event.job_id)
        return job is not None and job.fence == event.fence

    def followed(self, work: str, seq: int) -> bool:
        """Whether what follows from an event was owed before, or from a later one."""
        return seq <= self._last_cause.get(work, 0)

    def added_at(self, work: str, about: str) -> float | None:
        """When the last job of this work about this thing was added."""
        return self._added.get((work, about))

    def take_over(self) -> None:
        """Whoever tried before is gone: what was being tried is due."""
        for job in self.open.values():
            job.due, job.trying = job.at if job.trying else job.due, False
