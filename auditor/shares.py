"""How much of what a tenant learns each of its keys moves, so that one that lies cannot move it alone.

Looked at are the last updates, 200 at most and of the last hour: a table remembers some fifty of each cell, so a share
of a longer time could be spent in one burst that rules it. Where five keys or more are at work, one may move at most
twice its fair share: an honest key may be twice as busy as the others, and a liar among twenty is held to a tenth.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from itertools import takewhile

import msgspec

from .answers import Answer, FeedbackResult, SessionResult, ValidationResult
from .events import AnyEvent, Reported, Validated
from .session_events import SessionReported

WINDOW_S, UPDATES = 3600.0, 200
FEWEST_KEYS = 5  # among fewer there is no crowd to tell who is out of step
TIMES_FAIR = 2.0


class TallyDump(msgspec.Struct, frozen=True, array_like=True):
    """A tenant's last updates at rest, oldest first: when, and by which key."""

    tenant: str
    updates: list[tuple[float, str]]


class Tally:
    """Who moved the last updates of one tenant."""

    def __init__(self, updates: Iterable[tuple[float, str]] = ()) -> None:
        self.updates = deque(updates)
        self._moved = Counter(key for _, key in self.updates)

    def count(self, key: str, at: float) -> None:
        """Count one update, and forget those that left the window."""
        self.updates.append((at, key))
        self._moved[key] += 1
        while len(self.updates) > UPDATES or at - self.updates[0][0] >= WINDOW_S:
            _, gone = self.updates.popleft()
            self._moved[gone] -= 1
            if not self._moved[gone]:
                del self._moved[gone]

    def allows(self, key: str, now: float, claimed: Mapping[str, int]) -> bool:
        """Whether the key may move one more; `claimed` are those on their way."""
        gone = Counter(other for _, other in takewhile(lambda update: now - update[0] >= WINDOW_S, self.updates))
        active = {other for other, count in self._moved.items() if count > gone.get(other, 0)}
        active |= {key, *(other for other, count in claimed.items() if count)}
        if len(active) < FEWEST_KEYS:
            return True
        moved = self._moved[key] - gone[key] + claimed.get(key, 0) + 1
        return moved * len(active) <= TIMES_FAIR * (len(self.updates) - gone.total() + sum(claimed.values()) + 1)


class Shares:
    """Of all tenants. A fold of reports and validations; a restore does not touch it."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def fold(self, event: AnyEvent, answer: Answer) -> None:
        """Count what entered a reward."""
        if isinstance(event, Reported | Validated | SessionReported) and event.by and _entered(answer):
            self._tallies.setdefault(event.tenant, Tally()).count(event.by, event.at)

    def allow(self, tenant: str, key: str, now: float, claimed: Mapping[str, int]) -> bool:
        """Whether one more of the key may count; `claimed` are those of the tenant that are on their way, by key."""
        tally = self._tallies.get(tenant)
        return tally is None or tally.allows(key, now, claimed)

    def dump(self) -> list[TallyDump]:
        return [TallyDump(tenant, list(tally.updates)) for tenant, tally in sorted(self._tallies.items())]

    @classmethod
    def load(cls, dump: list[TallyDump]) -> "Shares":
        shares = cls()
        shares._tallies = {of.tenant: Tally(of.updates) for of in dump}
        return shares


def _entered(answer: Answer) -> bool:
    """Whether what was said became part of a reward, or of what is known of a fix."""
    match answer:
        case FeedbackResult():
            return not answer.duplicate and not answer.closed and answer.reason is None
        case ValidationResult():
            return answer.counted
        case SessionResult():
            return answer.updated
    return False
