"""A logged decision: where it stood, what could be chosen with which probability, what was, and what came of it."""

from math import isnan

import msgspec

from ..errors import BadLog
from ..features.bins import Fact
from ..features.featurizer import Featurizer
from ..types import Situation, Step

LARGEST = 2.0**53  # in size, of any number; squares of larger ones add up to nothing that can be told
LEAST = 1.0 / LARGEST  # of a propensity
CLOSE = 1e-6  # by which probabilities may miss their sum, and a propensity its probability


class Sight(msgspec.Struct, frozen=True, gc=False):
    """Where a decision stood: its state as it was written then, and the raw facts that another spec can read."""

    situation: Situation
    facts: dict[str, Fact] = {}
    text_codes: tuple[str, ...] = ()
    own_facts: dict[str, Fact] = {}

    def under(self, featurizer: Featurizer | None) -> Situation:
        """The situation as another spec sees it; as it was written without one."""
        if featurizer is None:
            return self.situation
        spec, here = featurizer.spec, self.situation
        state = featurizer.state(
            self.facts,
            text_codes=self.text_codes if spec.text_bits else (),
            own=self.own_facts,
            words=here.state.words if spec.words else (),
            sketch=here.state.sketch if spec.sketch_bits else b"",
        )
        return msgspec.structs.replace(here, state=state)


class LoggedDecision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One decision of a log, checked when it is made.

    row: its number in what it was read from.
    probabilities: of the eligible actions [A]; None where only the propensity of the action taken is known.
    terms: of the reward, by name and without weights; none where only the reward is known.
    following: where the task's next decision stood; None where the task ended or no successor was seen.
    followed_by: that decision's row; None where it is not known, or was learnt before.
    later: choices that followed within the decision (a tier after a verdict); they stay as they were logged.

    Raises:
      BadLog: it contradicts itself.
    """

    row: int
    sight: Sight
    action: str
    propensity: float
    probabilities: tuple[float, ...] | None = None
    reward: float
    terms: dict[str, float] = {}
    success: bool | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    explored: bool = False
    task: str | None = None
    following: Sight | None = None
    followed_by: int | None = None
    truncated: bool = False
    masked: tuple[str, ...] = ()
    later: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        actions = self.sight.situation.actions
        if len(set(actions)) < len(actions):
            raise BadLog("an action is eligible twice; name each once")
        if self.action not in actions:
            raise BadLog(f"action {self.action!r} is not among the eligible ones; add it, or leave the row out")
        if not 0.0 < self.propensity <= 1.0:
            raise BadLog(
                f"propensity {self.propensity} is not in (0, 1]; log the probability with which the action was drawn"
            )
        if self.propensity < LEAST:
            raise BadLog(f"propensity {self.propensity} is less than anybody draws with, which is 2^-53 at least")
        self._check_probabilities(actions)
        self._check_numbers()

    def _check_numbers(self) -> None:
        for name, number in (("reward", self.reward), *(("term " + name, value) for name, value in self.terms.items())):
            if not abs(number) <= LARGEST:
                raise BadLog(f"{name} is {number}; a reward is a number of at most 2^53 in size")
        for name, known in (("cost_usd", self.cost_usd), ("latency_ms", self.latency_ms)):
            if known is not None and not abs(known) <= LARGEST:
                raise BadLog(f"{name} is {known}, and not at most 2^53 in size; leave it out where it is not known")

    def _check_probabilities(self, actions: tuple[str, ...]) -> None:
        if self.probabilities is None:
            return
        if len(self.probabilities) != len(actions):
            raise BadLog(f"{len(self.probabilities)} probabilities for {len(actions)} actions; give one for each")
        if any(isnan(p) or not 0.0 <= p <= 1.0 for p in self.probabilities):
            raise BadLog("a probability is not in [0, 1]")
        if abs(sum(self.probabilities) - 1.0) > CLOSE:
            raise BadLog(f"probabilities add up to {sum(self.probabilities):.6g}, not 1")
        taken = self.probabilities[actions.index(self.action)]
        if abs(taken - self.propensity) > CLOSE:
            raise BadLog(
                f"propensity {self.propensity:.6g} is not the {taken:.6g} that the probabilities give the action"
            )

    def possible(self) -> tuple[float, ...]:
        """The logged probability of each eligible action [A]; where one is unknown, an even share of the rest."""
        if self.probabilities is not None:
            return self.probabilities
        actions = self.sight.situation.actions
        rest = (1.0 - self.propensity) / (len(actions) - 1) if len(actions) > 1 else 0.0
        return tuple([self.propensity if action == self.action else rest for action in actions])
