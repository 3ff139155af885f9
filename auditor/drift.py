"""Whether what an action earns has changed: recent rewards against those of the long run.

Two one-sided cumulative sums over standardised rewards (Page 1954, Biometrika 41; Hinkley 1971, Biometrika 58): each
adds what lies beyond the slack and never falls below 0, and one that passes the threshold is an alarm. The action is
then watched afresh from its new level; the alarm stands until that has held for a while.
"""

from math import sqrt

import msgspec

from .answers import Learned

WARM_UP = 100  # rewards by which an action's usual level and spread are known well enough
SLACK, THRESHOLD = 0.25, 30.0  # in standard deviations: half of the shift looked for; how far a sum may go
MOST = 4.0  # standard deviations one reward counts: a rare failure of what hardly ever fails is no drift
LEAST_SPREAD = 0.05  # rewards lie in [-1, 1]; smaller changes of a steady one are none
SETTLED = 200  # rewards without another alarm after which one is over


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """An action's rewards left their usual level; `at` is when that was noticed, in seconds since the epoch."""

    point: str
    action: str
    at: float
    usual: float
    recent: float


class Sum(msgspec.Struct, array_like=True, gc=False):
    """How far rewards went to one side, and over how many of them."""

    total: float = 0.0
    rewards: int = 0

    def add(self, beyond: float) -> bool:
        """Whether it is too far now."""
        self.total = max(0.0, self.total + beyond - SLACK)
        self.rewards = self.rewards + 1 if self.total else 0
        return self.total > THRESHOLD


class Watch(msgspec.Struct, array_like=True, gc=False):
    """One action's usual rewards (Welford 1962), the sums, and the alarm that stands."""

    rewards: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared deviations
    above: Sum = msgspec.field(default_factory=Sum)
    below: Sum = msgspec.field(default_factory=Sum)
    alarm: Alarm | None = None

    def see(self, reward: float) -> float | None:
        """Take in one reward; the level of the recent ones if they left the usual level, which is then forgotten."""
        spread = max(LEAST_SPREAD, sqrt(self.squares / self.rewards)) if self.rewards else LEAST_SPREAD
        if self.rewards >= WARM_UP:
            off = max(-MOST, min(MOST, (reward - self.mean) / spread))
            for side, signed in ((self.above, off), (self.below, -off)):
                if side.add(signed):
                    beyond = spread * (SLACK + side.total / side.rewards)
                    return self.mean + (beyond if side is self.above else -beyond)
        self.rewards += 1
        step = reward - self.mean
        self.mean += step / self.rewards
        self.squares += step * (reward - self.mean)
        if self.rewards >= SETTLED:
            self.alarm = None
        return None


class WatchDump(msgspec.Struct, frozen=True, array_like=True):
    """A watch at rest, with whose it is."""

    tenant: str
    point: str
    action: str
    watch: Watch


class Drift:
    """Of all tenants, points and actions. A fold of what was learnt; a restore does not touch it."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str, str], Watch] = {}

    def fold(self, tenant: str, at: float, learned: tuple[Learned, ...]) -> tuple[Alarm, ...]:
        """Take in what was learnt; the alarms it raised."""
        raised = []
        for of in learned:
            if of.report is None or of.update is None:
                continue
            place = (tenant, of.point, of.action)
            watch = self._watches.setdefault(place, Watch())
            usual, recent = watch.mean, watch.see(of.report.total)
            if recent is not None:
                alarm = Alarm(point=of.point, action=of.action, at=at, usual=usual, recent=recent)
                self._watches[place] = Watch(alarm=alarm)
                raised.append(alarm)
        return tuple(raised)

    def standing(self, tenant: str) -> list[Alarm]:
        """The tenant's alarms that are not over."""
        return [w.alarm for (whose, *_), w in self._watches.items() if whose == tenant and w.alarm is not None]

    def dump(self) -> list[WatchDump]:
        return [WatchDump(*place, watch) for place, watch in sorted(self._watches.items(), key=_place)]

    @classmethod
    def load(cls, dump: list[WatchDump]) -> "Drift":
        drift = cls()
        drift._watches = {(of.tenant, of.point, of.action): of.watch for of in dump}
        return drift


def _place(of: tuple[tuple[str, str, str], Watch]) -> tuple[str, str, str]:
    return of[0]
