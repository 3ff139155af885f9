"""A valued part of a log as arrays: one entry per decision [N], and one per decision and eligible action [P]."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from .estimators import Floats
from .log import LoggedDecision
from .reward_model import FOLDS, Indices, Seen, added, cross_fitted
from .student import Probabilities


class Columns(NamedTuple):
    """Decisions and what the judged policy would have done.

    rewards, propensities, taken: of decisions [N]; `taken` is the judged policy's probability of the logged action.
    states: of decisions [N], numbered.
    rows, actions, target, possible: of pairs [P]: which decision, which action (numbered), the judged policy's
      probability of it and the logged one.
    chosen: places of the logged actions in the pairs [N].
    """

    rewards: Floats
    propensities: Floats
    taken: Floats
    states: Indices
    rows: Indices
    actions: Indices
    target: Floats
    possible: Floats
    chosen: Indices

    @classmethod
    def of(cls, log: Sequence[LoggedDecision], rewards: Sequence[float], target: Sequence[Probabilities]) -> Self:
        """Of decisions with their rewards and the judged policy's probabilities."""
        sizes = np.array([len(probabilities) for probabilities in target], np.intp)
        begins = np.concatenate(([0], np.cumsum(sizes)[:-1])) if len(sizes) else sizes
        eligible = [action for d in log for action in d.sight.situation.actions]
        places = [d.sight.situation.actions.index(d.action) for d in log]
        states: dict[object, int] = {}
        names: dict[str, int] = {}
        flat = np.array([p for probabilities in target for p in probabilities], np.float64)
        chosen = begins + np.array(places, np.intp)
        return cls(
            rewards=np.array(rewards, np.float64),
            propensities=np.array([d.propensity for d in log], np.float64),
            taken=flat[chosen],
            states=np.array([states.setdefault(d.sight.situation.state.chains, len(states)) for d in log], np.intp),
            rows=np.repeat(np.arange(len(sizes)), sizes),
            actions=np.array([names.setdefault(a, len(names)) for a in eligible], np.intp),
            target=flat,
            possible=np.array([p for d in log for p in d.possible()], np.float64),
            chosen=chosen,
        )

    @property
    def weights(self) -> Floats:
        """Importance weights of the logged actions [N]."""
        weights: Floats = self.taken / self.propensities
        return weights

    @property
    def lacking(self) -> Floats:
        """The judged policy's probability of actions that the log could not take, for each decision [N]."""
        return added(np.where(self.possible > 0.0, 0.0, self.target), self.rows, len(self.rewards))

    def modelled(self, outcomes: Floats, parts: Indices | None = None) -> tuple[Floats, Floats]:
        """A cross-fitted model of outcomes [N]: of the logged action, and of the judged policy [N].

        parts: which decisions share a fold; by default each is in the next one.
        """
        folds = np.arange(len(outcomes)) % FOLDS if parts is None else parts % FOLDS
        told = cross_fitted(Seen(self.states, self.actions[self.chosen], outcomes, folds), self.rows, self.actions)
        return told[self.chosen], added(self.target * told, self.rows, len(outcomes))
