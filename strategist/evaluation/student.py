"""The judged policy on a log: asked what it would have done, taught what was logged."""

from collections.abc import Sequence

import msgspec

from ..features.featurizer import Featurizer
from ..policy import Policy
from ..snapshot import PolicySnapshot
from ..types import Eligible, Situation, Step, Transition
from .log import LoggedDecision, Sight
from .target import Target
from .together import links

Probabilities = tuple[float, ...]


class _Undrawn:
    """Where probabilities are asked for and nothing is drawn."""

    def random(self) -> float:
        return 0.0


class Student:
    """A policy as it learns from a log; `learnt` is what it knew before."""

    def __init__(self, target: Target, learnt: PolicySnapshot | None = None) -> None:
        self._target = target
        self._featurizer = None if target.spec is None else Featurizer(target.spec)
        self._spec_hash = "" if target.spec is None else target.spec.hash
        self._policy = learnt.restore(target.settings, self._spec_hash) if learnt else Policy(target.settings)

    @property
    def updates(self) -> int:
        """Decisions that it has learnt from."""
        return self._policy.updates

    def snapshot(self) -> PolicySnapshot:
        return PolicySnapshot.of(self._policy, self._spec_hash)

    def probabilities(self, sight: Sight) -> Probabilities:
        """With which it would take each eligible action [A]."""
        situation = self._situation(sight)
        eligible = Eligible(actions=situation.actions)
        known = dict(zip(situation.actions, situation.known, strict=True)) if situation.known else {}
        return self._policy.choose("", situation.state, eligible, _Undrawn(), situation.rule, known).probabilities

    def learn(self, together: Sequence[LoggedDecision], seq: int) -> None:
        """Fold decisions that are learnt together, the last one of a task first, as a server would at event `seq`."""
        moves = [self._transition(decision) for decision in together]
        self._policy.fold_back(links(together, moves), seq)

    def _situation(self, sight: Sight) -> Situation:
        """As this policy sees it. What was known beforehand was weighed as the log says; other weights learn it."""
        situation = sight.under(self._featurizer)
        return situation if self._target.weights is None else msgspec.structs.replace(situation, known=())

    def _transition(self, decision: LoggedDecision) -> Transition:
        steps = (Step(self._situation(decision.sight), decision.action), *decision.later)
        reward = self._target.reward(decision)
        if decision.following is not None:
            following = self._situation(decision.following)
            return Transition.transition(steps, reward, self._target.settings.gamma, following)
        if decision.truncated:
            return Transition.truncation(steps, reward)
        return Transition.termination(steps, reward)
