"""Sessions: a query joined to its outcome, and what that says of where its memories came from.

A success returns what it contributed, a failure costs it; the memories that were used share that in equal parts, those
of a session of which nobody said what was used all that it was shown.
"""

from math import sqrt
from typing import NamedTuple

import msgspec

from .answers import SessionResult
from .ranker_events import RankerSet
from .scoring import OVER_SHARE
from .session_events import Queried, SessionReported, Shown
from .trace import Offered

WINDOW_S = 86_400.0  # in which an outcome can be told
MOST_OPEN, MOST_JOINED = 10_000, 2_000  # of a tenant, the newest
LATE = "the session is over, or was never begun; this outcome is logged, not learnt"
TOLD = "the session has its outcome; this one is logged, not learnt"
UNSHOWN = "it rests on no memory that was shown in this session; the outcome is logged, not learnt"
PRIOR = 2.0  # outcomes that an origin's return is imagined to have had, of which half were good

Key = tuple[str, str]  # what an origin is, and its name
SessionEvent = Queried | SessionReported | RankerSet


class Weighing(NamedTuple):
    """The ranker's weights that were set last; `version` is the sequence number of their event."""

    version: int
    set: RankerSet


class Tally(msgspec.Struct):
    """What came of the sessions that used an origin's memories; shares of sessions, not whole ones."""

    sessions: float = 0.0
    successes: float = 0.0
    returned: float = 0.0
    squares: float = 0.0  # of what each session returned

    def add(self, share: float, *, success: bool, returned: float) -> None:
        """Take in a session that the origin had this share in."""
        self.sessions += share
        self.successes += share if success else 0.0
        self.returned += share * returned
        self.squares += share * returned * returned

    @property
    def success_rate(self) -> float:
        """With one imagined outcome of each kind, in (0, 1)."""
        return (self.successes + PRIOR / 2) / (self.sessions + PRIOR)

    @property
    def mean_return(self) -> float:
        """Of a session, drawn towards 0 by the imagined ones, in (-1, 1)."""
        return self.returned / (self.sessions + PRIOR)

    @property
    def deviation(self) -> float:
        """Standard error of the mean return; as if outcomes of -1 and 1 had been seen once each."""
        seen = self.sessions + PRIOR
        variance = max(0.0, (self.squares + PRIOR) / seen - self.mean_return * self.mean_return)
        return sqrt(variance / seen)


class Joined(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A memory that was used, how it was ranked, and how its session ended; each session weighs 1 in all."""

    session_id: str
    scores: dict[str, float]
    weight: float
    success: bool


class OpenSession(msgspec.Struct):
    """A session within its window."""

    session_id: str
    at: float
    shown: tuple[Shown, ...]
    offered: tuple[Offered, ...]
    outcome: SessionReported | None = None


class SessionsDump(msgspec.Struct, frozen=True, kw_only=True):
    """At rest."""

    open: list[OpenSession] = []
    origins: list[tuple[str, str, Tally]] = []
    joined: list[Joined] = []
    outcomes: int = 0
    swing: float = 0.0
    failed: int = 0
    ranker: Weighing | None = None


class Sessions:
    """All of a tenant's."""

    def __init__(self) -> None:
        self.open: dict[str, OpenSession] = {}
        self.origins: dict[Key, Tally] = {}
        self.joined: list[Joined] = []
        self.outcomes = 0  # that were learnt, ever
        self.swing = 0.0  # what they returned or cost, in sum
        self.failed = 0  # of them
        self.ranker: Weighing | None = None  # None: the weights that are shipped

    def apply(self, seq: int, event: "SessionEvent") -> SessionResult | None:
        """Fold one event."""
        match event:
            case Queried():
                self.begin(event)
            case SessionReported():
                return self.report(event)
            case RankerSet() if not event.weights:
                self.ranker, self.joined = None, []
            case RankerSet():
                self.ranker = Weighing(seq, event)
        return None

    def begin(self, event: Queried) -> None:
        """A query was answered."""
        self._forget(event.at)
        self.open[event.session_id] = OpenSession(event.session_id, event.at, event.shown, event.offered)

    def report(self, event: SessionReported) -> SessionResult:
        """What an outcome did."""
        self._forget(event.at)
        session = self.open.get(event.session_id)
        if session is None:
            return SessionResult(reason=LATE)
        if session.outcome is not None:
            same = _said(session.outcome) == _said(event)
            return SessionResult(duplicate=same, reason=None if same else TOLD)
        if not event.counts:
            return SessionResult(reason=OVER_SHARE)
        used = [one for one in session.shown if event.used is None or one.item in event.used]
        if not used and (event.used is not None or not session.offered):
            return SessionResult(reason=UNSHOWN)
        session.outcome = event
        returned = event.contribution if event.success else -event.contribution
        for one in used:
            self._credit(one, 1.0 / len(used), event, returned)
        self.joined = self.joined[-MOST_JOINED:]
        self.outcomes += 1
        self.swing += abs(returned)
        self.failed += not event.success
        return SessionResult(updated=True, returned=returned)

    def _credit(self, one: Shown, share: float, event: SessionReported, returned: float) -> None:
        self.origins.setdefault((one.of, one.origin), Tally()).add(share, success=event.success, returned=returned)
        self.joined.append(Joined(event.session_id, one.scores, share, event.success))

    def origin(self, of: str, name: str) -> Tally:
        """What is known of an origin; not the caller's to change."""
        return self.origins.get((of, name)) or Tally()

    def _forget(self, now: float) -> None:
        """Sessions whose window is over, or that are too many; the oldest come first."""
        while self.open:
            oldest = next(iter(self.open.values()))
            if now - oldest.at <= WINDOW_S and len(self.open) < MOST_OPEN:
                return
            del self.open[oldest.session_id]

    def dump(self) -> SessionsDump:
        return SessionsDump(
            open=list(self.open.values()),
            origins=[(of, name, tally) for (of, name), tally in sorted(self.origins.items())],
            joined=list(self.joined),
            outcomes=self.outcomes,
            swing=self.swing,
            failed=self.failed,
            ranker=self.ranker,
        )

    @classmethod
    def load(cls, dump: SessionsDump) -> "Sessions":
        sessions = cls()
        sessions.open = {session.session_id: session for session in dump.open}
        sessions.origins = {(of, name): tally for of, name, tally in dump.origins}
        sessions.joined, sessions.outcomes = list(dump.joined), dump.outcomes
        sessions.swing, sessions.failed, sessions.ranker = dump.swing, dump.failed, dump.ranker
        return sessions


def _said(event: SessionReported) -> tuple[object, ...]:
    return event.success, event.contribution, event.used
