"""How similar a failure has to be to have another one's reflection: by checks, for each tenant and error class.

A check compares what was reused with what a model makes of the failure itself. A share of the reuses is drawn for it.
Where nothing was reused though something similar was there, a model was asked anyway, so those checks cost nothing: by
them a threshold gets to know what lies below it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

import msgspec

from .reflection_events import Insight, ReuseChecked

FLOOR, USUAL, MOST = 85, 92, 99  # thresholds of similarity, in hundredths
END = 101  # above any similarity
FIRST = 3  # reuses of a class that are checked whatever is drawn
SHADOW = 0.1  # the share of later ones
ALPHA = 0.05  # how likely a threshold is taken for good that only just misses the target
NEWEST = 500  # checks of a class that count
CLASSES = 1000  # of a tenant, those that were checked last
ALIKE = 0.5  # cosine from which on two insights say the same; docs/llm.md has what that is worth


class Check(NamedTuple):
    """One check; the similarity in hundredths, rounded down."""

    similarity: int
    agreed: bool
    reused: bool


class ClassDump(msgspec.Struct, frozen=True, array_like=True):
    """The checks of one error class, at rest."""

    tenant: str
    error_class: str
    checks: list[Check]


class Measured(NamedTuple):
    """What checks said of the reuses of a class that count."""

    checked: int
    wrong: int

    @property
    def rate(self) -> float | None:
        return self.wrong / self.checked if self.checked else None

    @property
    def at_most(self) -> float:
        """The upper end of Clopper and Pearson's interval: with 95 % certainty the share is not above it."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2.0
            low, high = (middle, high) if not self.below(middle) else (low, middle)
        return high

    def below(self, share: float) -> bool:
        """Whether the share of wrong ones is below `share`, with 95 % certainty: seldom would so few be seen else."""
        n = self.checked
        if self.wrong >= n * share:
            return False
        total = chance = prod([1.0 - share] * n)  # of none; each of the next ones follows from the one before
        for k in range(self.wrong):
            chance *= (n - k) / (k + 1) * share / (1.0 - share)
            total += chance
        return total <= ALPHA


class Reuse:
    """Checks by tenant and error class: a fold of the journal."""

    def __init__(self, dump: Iterable[ClassDump] = ()) -> None:
        self._tenants: dict[str, dict[str, list[Check]]] = {}
        for of in dump:
            self._tenants.setdefault(of.tenant, {})[of.error_class] = list(of.checks)

    def fold(self, event: ReuseChecked) -> None:
        """Count a check; the class that was checked the longest ago makes room for a new one."""
        classes = self._tenants.setdefault(event.tenant, {})
        checks = classes.pop(event.error_class, [])
        checks.append(Check(hundredths(event.similarity), event.agreed, event.reused))
        classes[event.error_class] = checks[-NEWEST:]
        if len(classes) > CLASSES:
            del classes[next(iter(classes))]

    def of(self, tenant: str, error_class: str) -> Sequence[Check]:
        return self._tenants.get(tenant, {}).get(error_class, ())

    def classes(self, tenant: str) -> list[str]:
        """Those that were ever checked, the newest check first."""
        return [*reversed(self._tenants.get(tenant, {}))]

    def dump(self) -> list[ClassDump]:
        """Equal folds give equal dumps."""
        return [
            ClassDump(tenant, error_class, checks)
            for tenant, classes in sorted(self._tenants.items())
            for error_class, checks in classes.items()
        ]


def hundredths(similarity: float) -> int:
    """Rounded down, but for what a float loses."""
    return int(similarity * 100.0 + 1e-6)


def threshold(checks: Sequence[Check], target: float) -> int:
    """From which similarity on a reflection is reused, in hundredths: wrong reuses shall stay below the target.

    The lowest at which they do by what was checked from there on; below the usual one, by what was checked below the
    usual one alone as well. Where no threshold is proven, the usual one, or just above the most similar wrong one.
    """
    all_of = Counter(check.similarity for check in checks)
    wrong_of = Counter(check.similarity for check in checks if not check.agreed)

    def between(low: int, high: int) -> Measured:
        return Measured(*(sum(of[at] for at in range(low, high)) for of in (all_of, wrong_of)))

    for at in range(FLOOR, MOST + 1):
        if between(at, END).below(target) and (at >= USUAL or between(at, USUAL).below(target)):
            return at
    return min(max(USUAL, max(wrong_of, default=FLOOR) + 1), MOST)


def measured(checks: Sequence[Check]) -> Measured:
    """How often it was wrong to reuse what was reused."""
    reused = [check.agreed for check in checks if check.reused]
    return Measured(len(reused), reused.count(False))


def drawn(checks: Sequence[Check], draw: float) -> bool:
    """Whether a reuse is checked, by a number in [0, 1)."""
    return measured(checks).checked < FIRST or draw < SHADOW


def told(insight: Insight) -> str:
    """What two insights are compared by: the cause, and what to do about it."""
    return f"{insight.root_cause}\n{insight.resolution_strategy}"


def alike(cosine: float) -> bool:
    """Whether two insights say the same, by the cosine of what they told."""
    return cosine >= ALIKE
