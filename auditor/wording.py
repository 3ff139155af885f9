"""Which words of a plan speak for failing, beyond what past outcomes of it and of similar plans say.

A logistic regression. Its inputs are log odds that something else counted (all cases; its own record; the word
of the plan that fares worst) and hashed words: those of the planned command, pairs of neighbours, words together with
the conditions they are to run under, those of the error the task saw last. All begin without a say but the cases, so
that nothing changes until words have proved to tell more.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log
from typing import Self

import msgspec

from strategist.features.words import sequence_of
from strategist.linear import MASK, hashed_word
from strategist.logistic import LogisticRegression, sigmoid

OF_THE_TASK = "@"  # how the condition begins that says where in its task an action stands
READ = 40  # words of a command, and of an error
CROSSED = 4  # conditions, by name, that words are taken together with
FIRST_TRUST = 1.0, 0.0, 0.0, 0.0  # in all cases, the own record, the word that fares worst, all words
MOST_TRUST, STEP = 2.0, 0.02  # and how fast it changes
MANY = 4  # words from which on it does not matter how many were never seen, or never seen to work
PAIR, WITH, ERROR = 0x9E3779B1, 0x85EBCA6B, 0xC2B2AE35  # tell apart what words are together with
ALWAYS, UNSEEN, LOST = 0, 1, 1 + MANY + 1  # places of the features that are no words

Counts = dict[int, tuple[int, int]]


class Plan(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """A planned action before it runs.

    words, error: hashes of its words, and of the last error's, in order.
    odds: log odds of failing, by all cases, and those that its own record adds to the rate of failure.
    """

    words: tuple[int, ...]
    error: tuple[int, ...]
    odds: tuple[float, float]

    def here(self, conditions: Sequence[str]) -> list[list[int]]:
        """Where the counts of its words lie, for each condition; without conditions, where those of the words do."""
        kinds = [hashed_word(condition) for condition in conditions if not condition.startswith(OF_THE_TASK)]
        crossed = [[(kind * WITH + word) & MASK for word in self.words] for kind in kinds[:CROSSED]]
        return crossed or [list(self.words)]

    def features(self, conditions: Sequence[str], here: Iterable[list[int]]) -> set[int]:
        """Where the weights of all its words lie."""
        words = self.words
        found = {ALWAYS, *words, *[hashed_word(condition) for condition in conditions]}
        found.update([(word * ERROR) & MASK for word in self.error])
        found.update([(one * PAIR + other) & MASK for one, other in pairwise(words)])
        return found.union(*here)


class WordingDump(msgspec.Struct, frozen=True, array_like=True):
    """At rest; equal states give equal bytes."""

    trust: tuple[float, ...] = FIRST_TRUST
    successes: int = 0
    failures: int = 0
    weights: list[tuple[int, float, float]] = []
    counts: list[tuple[int, int, int]] = []


class Heard(msgspec.Struct, frozen=True, gc=False):
    """What there is to judge a plan by: log odds [4], the last of them by the features, whose places are in order."""

    odds: tuple[float, ...]
    features: list[int]


class Wording:
    """What words say, and how far it is trusted beside the cases."""

    def __init__(self) -> None:
        self.trust: tuple[float, ...] = FIRST_TRUST
        self.successes = self.failures = 0
        self.weights = LogisticRegression()
        self.counts: Counts = {}  # (successes, failures) of words under a condition

    @property
    def outcomes(self) -> int:
        return self.successes + self.failures

    def failing(self, plan: Plan, conditions: Sequence[str]) -> float:
        """How likely the plan is to fail, in (0, 1)."""
        return self._failing(self._hear(plan, conditions, plan.here(conditions)))

    def _hear(self, plan: Plan, conditions: Sequence[str], here: list[list[int]]) -> Heard:
        counts = [self.counts.get(place, (0, 0)) for places in here for place in places]
        unseen = sum([not successes + failures for successes, failures in counts])
        lost = sum([failures > 0 and not successes for successes, failures in counts])
        features = plan.features(conditions, here)
        features.update((UNSEEN + min(MANY, unseen), LOST + min(MANY, lost)))
        places = sorted(features)
        return Heard((*plan.odds, self._worst(counts), self.weights.log_odds(places)), places)

    def _worst(self, counts: Sequence[tuple[int, int]]) -> float:
        """Log odds that the word which fares worst adds to the rate of failure, which counts as one outcome."""
        base = (self.failures + 1.0) / (self.outcomes + 2.0)
        worst = max([(failures + base) / (successes + 1.0 - base) for successes, failures in counts], default=0.0)
        return log(max(1.0, worst * (1.0 - base) / base))

    def _failing(self, heard: Heard) -> float:
        return sigmoid(sum([trust * odds for trust, odds in zip(self.trust, heard.odds, strict=True)]))

    def fares_worst(self, plan: Plan, conditions: Sequence[str]) -> tuple[int, int, int] | None:
        """(place in the plan, successes, failures) of the word that fails most often, the first of several."""
        counted = [
            (place, *self.counts[at])
            for here in plan.here(conditions)
            for place, at in enumerate(here)
            if at in self.counts
        ]
        return max(counted, key=lambda word: (word[2] + 1) / (word[1] + word[2] + 2), default=None)

    def observe(self, plan: Plan, conditions: Sequence[str], success: bool) -> None:
        """Learn from how the plan ended."""
        here = plan.here(conditions)
        heard = self._hear(plan, conditions, here)
        failed = 0.0 if success else 1.0
        self._trust(heard, failed - self._failing(heard))
        beside = sum([trust * odds for trust, odds in zip(self.trust[:-1], heard.odds, strict=False)])
        self.weights.move(heard.features, failed - sigmoid(beside + heard.odds[-1]))
        self._count({place for places in here for place in places}, success)

    def _trust(self, heard: Heard, error: float) -> None:
        """More in what was right before anything was learnt of it, less in what was wrong."""
        told = zip(self.trust, heard.odds, strict=True)
        self.trust = tuple([min(MOST_TRUST, max(0.0, trust + STEP * error * odds)) for trust, odds in told])

    def _count(self, places: Iterable[int], success: bool) -> None:
        self.successes += success
        self.failures += not success
        for place in places:
            successes, failures = self.counts.get(place, (0, 0))
            self.counts[place] = (successes + 1, failures) if success else (successes, failures + 1)

    def dump(self) -> WordingDump:
        counts = [(place, *self.counts[place]) for place in sorted(self.counts)]
        return WordingDump(self.trust, self.successes, self.failures, list(self.weights.rows()), counts)

    @classmethod
    def load(cls, dump: WordingDump) -> Self:
        wording = cls()
        wording.trust, wording.successes, wording.failures = dump.trust, dump.successes, dump.failures
        wording.weights = LogisticRegression(dump.weights)
        wording.counts = {place: (successes, failures) for place, successes, failures in dump.counts}
        return wording


def words_of_plan(text: str) -> tuple[int, ...]:
    """The words of a command or of an error, as a plan has them."""
    return sequence_of(text, READ)


def odds_of(probability: float) -> float:
    """Its log odds; the probability is neither 0 nor 1."""
    return log(probability / (1.0 - probability))
