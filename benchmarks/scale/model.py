"""A discrete-event model of one journal and its replicas: state machine replication over one log that commits in turn.

A replica is one queue for everything its event loop does: calls, and folds of what others wrote. Its events wait for
the group that it commits next; groups of all replicas wait for one lock. Each commit is told to every replica, which
reads and folds what is new unless it does so already. Times are seconds, drawn from one seed; all decisions come at
random moments (Poisson), each at a replica drawn anew, and so do the reports on them, a little later.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .costs import GROUP, Costs

FOLLOWED = 32  # replicas whose folds are played; the others' weigh on the database, and their calls on the journal
WARM = 0.25  # share of the time before anything is counted
REPORTED_S = 0.05  # from a decision's answer to the report on it, on average


class Played(msgspec.Struct, frozen=True):
    """What came of it: quantiles in seconds, shares of the time, decisions a second."""

    decided_per_s: float
    lag_mean_s: float
    lag_p50_s: float
    lag_p99_s: float
    answer_mean_s: float
    answer_p50_s: float
    answer_p99_s: float
    replica_busy: float
    journal_busy: float
    database_busy: float
    group: float  # events of a commit, on average


class _Event(msgspec.Struct):
    """A decision or a report on its way: when its call came, when it was made, who took it."""

    came: float
    made: float
    report: bool
    taker: "_Replica"


class _Replica:
    """Its queue, by when it is free; what waits for its next group; up to where it has folded."""

    def __init__(self, *, followed: bool) -> None:
        self.followed = followed
        self.free_at = self.busy = 0.0
        self.pending: deque[_Event] = deque()
        self.committing = self.reading = self.again = False
        self.folded = 0

    def does(self, now: float, takes: float) -> float:
        """Put something at the end of its queue; when it is done."""
        self.busy += takes
        self.free_at = max(now, self.free_at) + takes
        return self.free_at


class Journal:
    """One shard: `rate` decisions a second, each reported once."""

    def __init__(self, costs: Costs, *, replicas: int, rate: float, seed: int, database_cores: int = 8) -> None:
        self._costs, self._rate, self._rng = costs, rate, np.random.default_rng(seed)
        followed = min(replicas, FOLLOWED)
        self._replicas = [_Replica(followed=n < followed) for n in range(replicas)]
        self._stand_for = replicas / followed
        self._cores, self._database_busy = [0.0] * database_cores, 0.0
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = itertools.count()
        self._now = self._journal_busy = 0.0
        self._waiting: deque[tuple[_Replica, list[_Event]]] = deque()
        self._locked = False
        self._made: list[float] = []  # of each event of the log
        self._lags: list[NDArray[np.float64]] = []
        self._answers: list[tuple[float, float]] = []  # when, after how long; at followed replicas
        self._decided = 0
        self._groups: list[int] = []

    def play(self, seconds: float) -> Played:
        """Let so much time pass."""
        self._at(self._rng.exponential(1 / self._rate), self._arrive)
        while self._queue and self._queue[0][0] < seconds:
            self._now, _, act, given = heapq.heappop(self._queue)
            act(*given)
        return self._played(seconds)

    def _at(self, when: float, act: Callable[..., None], *given: Any) -> None:
        heapq.heappush(self._queue, (when, next(self._order), act, given))

    def _arrive(self) -> None:
        self._call(report=False)
        self._at(self._now + self._rng.exponential(1 / self._rate), self._arrive)

    def _call(self, *, report: bool) -> None:
        taker = self._replicas[self._rng.integers(len(self._replicas))]
        done = taker.does(self._now, self._costs.report_s if report else self._costs.decide_s)
        self._at(done, self._append, _Event(self._now, done, report, taker))

    def _append(self, event: _Event) -> None:
        event.taker.pending.append(event)
        if not event.taker.committing:
            event.taker.committing = True
            self._submit(event.taker)

    def _submit(self, replica: _Replica) -> None:
        group = [replica.pending.popleft() for _ in range(min(GROUP, len(replica.pending)))]
        self._at(replica.does(self._now, self._costs.group_s), self._wait, replica, group)

    def _wait(self, replica: _Replica, group: list[_Event]) -> None:
        self._waiting.append((replica, group))
        if not self._locked:
            self._lock()

    def _lock(self) -> None:
        replica, group = self._waiting.popleft()
        self._locked = True
        held = self._costs.commit_s + self._costs.commit_event_s * len(group)
        self._journal_busy += held
        self._database(self._costs.commit_cpu_s + self._costs.commit_event_cpu_s * len(group))
        self._at(self._now + held, self._committed, replica, group)

    def _committed(self, replica: _Replica, group: list[_Event]) -> None:
        self._groups.append(len(group))
        for event in group:
            self._made.append(event.made)
            if not event.report:
                self._answer(event, max(self._now, replica.free_at))
        for other in self._replicas[:FOLLOWED]:
            self._at(self._now + (0.0 if other is replica else self._costs.heard_s), self._read, other)
        self._locked = False
        if self._waiting:
            self._lock()
        replica.committing = bool(replica.pending)
        if replica.committing:
            self._at(max(self._now, replica.free_at), self._submit, replica)

    def _answer(self, event: _Event, when: float) -> None:
        """A decision is; the report on it comes some time later."""
        self._decided += 1
        if event.taker.followed:
            self._answers.append((when, when - event.came))
        self._at(when + self._rng.exponential(REPORTED_S), self._report)

    def _report(self) -> None:
        self._call(report=True)

    def _read(self, replica: _Replica) -> None:
        """Read what is new and fold it, unless it does; then it looks once more."""
        if replica.reading:
            replica.again = True
            return
        replica.reading, upto = True, len(self._made)
        new = upto - replica.folded
        read_s = (self._costs.read_s + self._costs.read_event_s * new) * self._stand_for
        self._at(self._database(read_s), self._fold, replica, upto)

    def _fold(self, replica: _Replica, upto: int) -> None:
        new = upto - replica.folded
        done = replica.does(self._now, self._costs.wake_s + self._costs.fold_s * new)
        self._at(done, self._folded, replica, upto)

    def _folded(self, replica: _Replica, upto: int) -> None:
        if upto > replica.folded:
            made = np.array(self._made[replica.folded : upto])
            self._lags.append(np.column_stack([made, self._now - made]))
        replica.folded, replica.reading = upto, False
        if replica.again:
            replica.again = False
            self._read(replica)

    def _database(self, takes: float) -> float:
        """Let the database's least busy core do something; when it is done."""
        self._database_busy += takes
        done = max(self._now, heapq.heappop(self._cores)) + takes
        heapq.heappush(self._cores, done)
        return done

    def _played(self, seconds: float) -> Played:
        since = WARM * seconds
        lags = np.concatenate(self._lags) if self._lags else np.zeros((0, 2))
        lag = lags[lags[:, 0] > since, 1]
        answer = np.array([took for when, took in self._answers if since < when < seconds])
        followed = self._replicas[:FOLLOWED]
        return Played(
            decided_per_s=self._decided / seconds,
            lag_mean_s=float(lag.mean()),
            lag_p50_s=float(np.quantile(lag, 0.5)),
            lag_p99_s=float(np.quantile(lag, 0.99)),
            answer_mean_s=float(answer.mean()),
            answer_p50_s=float(np.quantile(answer, 0.5)),
            answer_p99_s=float(np.quantile(answer, 0.99)),
            replica_busy=float(np.mean([replica.busy for replica in followed])) / seconds,
            journal_busy=self._journal_busy / seconds,
            database_busy=self._database_busy / seconds / len(self._cores),
            group=float(np.mean(self._groups)),
        )
