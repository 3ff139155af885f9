"""Two-sided memory: how often each action succeeded and failed when it was run, and under which conditions.

A record keeps an action's outcomes and, beside them, those of every condition (`key=value`) they happened
under, so that conditions that matter are told from those that do not, and what was learnt under one set of
conditions speaks about another.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Self

import msgspec

from strategist.logistic import sigmoid

from .wording import OF_THE_TASK, Plan, Wording, WordingDump

FRESH, RETRY, ADVISED = "@turn=fresh", "@turn=retry", "@turn=advised"
MAX_CONDITIONS = 256  # distinct ones per action; later ones are not told apart
FIRST_WEIGHT, LAST_WEIGHT = 0.5, 2.0  # what a kind of condition counts before anything is known of it, and at most
IMAGINED = 1.0  # outcomes of each kind that are imagined beside what was seen of a condition
STEP = 0.15  # of the weights


class CaseCount(msgspec.Struct, array_like=True, gc=False):
    """Outcomes of one action, or of one condition it was run under."""

    successes: int = 0
    failures: int = 0

    @property
    def total(self) -> int:
        return self.successes + self.failures

    def observe(self, success: bool) -> None:
        if success:
            self.successes += 1
        else:
            self.failures += 1


class CaseRecord(CaseCount, array_like=True, gc=False):
    """Outcomes of one action, and of each condition it was run under."""

    conditions: dict[str, CaseCount] = {}

    def share(self, condition: str) -> float:
        """Of all outcomes, how many came under a condition."""
        return self.conditions[condition].total / self.total if condition in self.conditions else 0.0

    def speaks_at(self, turn: str) -> float:
        """Of all outcomes, how many speak of a like command at a turn; those as advice do once one of them failed."""
        return self.share(turn) + (self.share(ADVISED) if self.failed_as_advice else 0.0)

    @property
    def failed_as_advice(self) -> bool:
        return ADVISED in self.conditions and self.conditions[ADVISED].failures > 0

    def add(self, conditions: Iterable[str], success: bool) -> None:
        """Count one outcome, and count it for each of its conditions."""
        self.observe(success)
        for condition in conditions:
            count = self.conditions.get(condition)
            if count is None:
                if len(self.conditions) >= MAX_CONDITIONS:
                    continue
                count = self.conditions[condition] = CaseCount()
            count.observe(success)


Pool = Sequence[tuple[float, CaseRecord]]  # records, and what one outcome of each counts
NOTHING = CaseRecord()
PLAIN = ""  # stands for the action by itself among what speaks for failing


class CasesDump(msgspec.Struct, frozen=True, array_like=True):
    """All records at rest; equal cases give equal bytes."""

    records: list[tuple[str, str, CaseRecord]]
    all: CaseRecord
    weights: dict[str, float]
    wordings: dict[str, WordingDump] = {}


class Cases:
    """Records by (namespace, action signature), and how much each kind of condition has proved to matter.

    Naive Bayes with a weight per kind of condition (Zaidi et al. 2013, JMLR 14), learnt online over all
    actions: the name of a host that never made a difference soon counts for nothing at a new action either.
    """

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], CaseRecord] = {}
        self.all = CaseRecord()  # of every action, by where in its task it stood
        self.weights: dict[str, float] = {}
        self.wordings: dict[str, Wording] = {}  # by namespace

    def observe(
        self, namespace: str, signature: str, conditions: Sequence[str], success: bool, plan: Plan | None = None
    ) -> None:
        """Count an outcome of an action, after the weights have learnt from what was expected of it.

        plan: what was known of it before it ran, where it was the agent's own.
        """
        if plan is not None:
            self.wordings.setdefault(namespace, Wording()).observe(plan, conditions, success)
        record = self.records.setdefault((namespace, signature), CaseRecord())
        if record.total:
            self._learn(record, conditions, success)
        record.add(conditions, success)
        self.all.add((c for c in conditions if c.startswith(OF_THE_TASK)), success)

    def _learn(self, record: CaseRecord, conditions: Sequence[str], success: bool) -> None:
        """One step of logistic regression on what each condition says."""
        said = log_odds(((1.0, record),), conditions, self.base_rate(conditions))
        error = (0.0 if success else 1.0) - probability(self._weighed(said))
        for condition, added in said.items():
            if condition is not PLAIN:
                weight = self._weight(condition) + STEP * error * added
                self.weights[kind_of(condition)] = min(LAST_WEIGHT, max(0.0, weight))

    def speaking(self, pool: Pool, conditions: Sequence[str], prior: float) -> dict[str, float]:
        """Weighed log odds of failing: what the action by itself (PLAIN) and each condition adds."""
        return self._weighed(log_odds(pool, conditions, prior))

    def _weighed(self, said: Mapping[str, float]) -> dict[str, float]:
        return {c: added if c is PLAIN else self._weight(c) * added for c, added in said.items()}

    def _weight(self, condition: str) -> float:
        return self.weights.get(kind_of(condition), FIRST_WEIGHT)

    def of(self, namespace: str, signature: str) -> CaseRecord:
        return self.records.get((namespace, signature), NOTHING)

    def wording(self, namespace: str) -> Wording:
        """What the words of plans say in a namespace."""
        return self.wordings.get(namespace) or Wording()

    def base_rate(self, conditions: Iterable[str] = ()) -> float:
        """How often anything fails at this tenant where a task stands so; one outcome of each kind is imagined."""
        count = next((self.all.conditions[c] for c in conditions if c in self.all.conditions), self.all)
        return (count.failures + 1) / (count.total + 2)

    def dump(self) -> CasesDump:
        rows = [(namespace, signature, record) for (namespace, signature), record in sorted(self.records.items())]
        wordings = {namespace: self.wordings[namespace].dump() for namespace in sorted(self.wordings)}
        return CasesDump(rows, self.all, self.weights, wordings)

    @classmethod
    def load(cls, dump: CasesDump) -> Self:
        cases = cls()
        cases.records = {(namespace, signature): record for namespace, signature, record in dump.records}
        cases.all, cases.weights = dump.all, dump.weights
        cases.wordings = {namespace: Wording.load(each) for namespace, each in dump.wordings.items()}
        return cases


def log_odds(pool: Pool, conditions: Sequence[str], prior: float) -> dict[str, float]:
    """Log odds of failing: of the action by itself (PLAIN), and what each of the conditions adds to them.

    The prior counts as one imagined outcome. A condition that was never seen says nothing; one as frequent
    among failures as among successes adds 0.
    """
    failures = successes = 0.0
    for weight, record in pool:
        failures += weight * record.failures
        successes += weight * record.successes
    found = {PLAIN: log((failures + prior) / (successes + 1.0 - prior))}
    for condition in conditions:
        failed = worked = 0.0
        for weight, record in pool:
            if (count := record.conditions.get(condition)) is not None:
                failed += weight * count.failures
                worked += weight * count.successes
        if failed or worked:
            expected = IMAGINED * (failed + worked + 0.5) / (failures + successes + 1.0)
            odds = (failed + expected) / (failures + IMAGINED) * (successes + IMAGINED) / (worked + expected)
            found[condition] = log(odds)
    return found


def probability(said: Mapping[str, float]) -> float:
    """Of failing, in (0, 1), by all that speaks."""
    return sigmoid(sum(said.values()))


def as_advised(conditions: Iterable[str]) -> tuple[str, ...]:
    """The same conditions for an action that is not the agent's plan but what it is advised to do instead."""
    return (*(c for c in conditions if not c.startswith(OF_THE_TASK)), ADVISED)


def kind_of(condition: str) -> str:
    """What a condition is about: its key."""
    return condition.partition("=")[0]
