"""What is owed to the world outside, as events."""

from typing import Any

from .event import Event


class JobAdded(Event, frozen=True, kw_only=True, tag="job"):
    """Something is owed to the world outside, in the place of an open job of the same work about the same thing."""

    job_id: str
    work: str  # what kind of thing is to be done
    about: str
    body: Any
    cause: int = 0  # the event it follows from, 0 for none

    @property
    def ref(self) -> str:
        return self.job_id


class JobLeased(Event, frozen=True, kw_only=True, tag="job_leased"):
    """A job is tried until `until`; what comes of it counts only under the newest fence."""

    job_id: str
    fence: int
    until: float

    @property
    def ref(self) -> str:
        return self.job_id


class JobFailed(Event, frozen=True, kw_only=True, tag="job_failed"):
    """A try failed; the next one is not before `next_at`."""

    job_id: str
    fence: int
    why: str
    next_at: float

    @property
    def ref(self) -> str:
        return self.job_id


class JobEnded(Event, frozen=True, kw_only=True, tag="job_ended"):
    """A job was done, or given up for a reason."""

    job_id: str
    fence: int
    given_up: str | None = None

    @property
    def ref(self) -> str:
        return self.job_id
