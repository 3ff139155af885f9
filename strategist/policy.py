"""A policy for one tenant at one decision point: it chooses head by head and learns from transitions."""

from collections.abc import Mapping
from typing import Literal, Protocol, Self

import msgspec

from . import td
from .errors import NoEligibleAction
from .exploration import EpsilonGreedy, ExplorationRule, Mixture, follow, greedy, sample
from .schedules import EpsilonDecay, StepSize
from .tables import NO_PRIOR, BackoffTable
from .types import Eligible, Exploration, HeadChoice, Move, Situation, State, Transition, Update

Mode = Literal["learning", "apprentice", "frozen"]


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a fold or a choice depends on besides its data."""

    mode: Mode = "learning"
    gamma: float = 0.92
    step: StepSize = StepSize()
    epsilon: EpsilonDecay = EpsilonDecay()
    kappa: float = 10.0  # pseudo-visits by which a cell is shrunk towards its parent
    prior_value: float = 0.8  # where the rule's action starts
    prior_visits: int = 3  # how many visits that start is worth
    apprentice_share: float = 0.05  # total probability of everything the rule did not choose
    exploration: ExplorationRule = EpsilonGreedy()  # beside the uniform share, whose size is epsilon


class Rng(Protocol):
    """A source of uniform numbers in [0, 1)."""

    def random(self) -> float: ...


class Policy:
    """Chooses from a backoff table and folds transitions into it."""

    def __init__(self, settings: PolicySettings) -> None:
        self.settings = settings
        self.table = BackoffTable(settings.step, settings.kappa)
        self.updates = 0  # folded decisions

    def configure(self, settings: PolicySettings) -> None:
        self.settings = settings
        self.table.configure(settings.step, settings.kappa)

    @property
    def epsilon(self) -> float:
        return 0.0 if self.settings.mode == "frozen" else self.settings.epsilon.at(self.updates)

    def prior(self, rule: str | None) -> Mapping[str, float]:
        return NO_PRIOR if rule is None else {rule: self.settings.prior_value}

    def values(self, situation: Situation) -> list[float]:
        """Blended value of each eligible action [A]."""
        return self.table.read(situation.state, situation.actions, self.prior(situation.rule))

    def preferred(self, situation: Situation) -> str:
        """What the acting policy would take without exploring: the rule as apprentice, else the table."""
        if self.settings.mode == "apprentice" and situation.rule in situation.actions:
            return situation.rule or ""
        q = self.values(situation)
        return situation.actions[max(range(len(q)), key=q.__getitem__)]

    def unexploring(self) -> Self:
        """A policy with the same table that only does what this one prefers."""
        never = EpsilonDecay(start=0.0, floor=0.0)
        return self._by(
            msgspec.structs.replace(self.settings, epsilon=never, apprentice_share=0.0, exploration=EpsilonGreedy())
        )

    def learning(self) -> Self:
        """A policy with the same table that acts by it."""
        return self._by(msgspec.structs.replace(self.settings, mode="learning"))

    def _by(self, settings: PolicySettings) -> Self:
        same = type(self)(settings)
        same.table, same.updates = self.table, self.updates
        return same

    def choose(self, head: str, state: State, eligible: Eligible, rng: Rng, rule: str | None = None) -> HeadChoice:
        """Draw one eligible action.

        Raises:
          NoEligibleAction: every action is masked.
        """
        actions = eligible.actions
        if not actions:
            raise NoEligibleAction
        q = self.table.read(state, actions, self.prior(rule))
        meant, named = self._mixture(q, state, actions, rule)
        mixture, move = _moved(meant, eligible)
        draw = rng.random()
        index, explored = sample(mixture, draw)
        probabilities = mixture.probabilities()
        if move is not None and not explored and not meant.preference[index]:
            named = "audit"
        explored = explored or (named == "exploit" and q[index] < max(q))
        kind: Exploration = "only" if len(actions) == 1 else "explore" if explored else named
        cell, visits = self.table.known(state, actions[index])
        return HeadChoice(
            head=head,
            state=state,
            actions=actions,
            masked=eligible.masked,
            probabilities=probabilities,
            q_values=tuple(q),
            action=actions[index],
            propensity=probabilities[index],
            exploration=kind,
            draw=draw,
            cell=cell,
            visits=visits,
            rule=rule,
            move=move,
        )

    def _mixture(
        self, q: list[float], state: State, actions: tuple[str, ...], rule: str | None
    ) -> tuple[Mixture, Exploration]:
        mode = self.settings.mode
        if mode == "frozen" or len(actions) == 1:
            return greedy(q), "exploit"
        if mode == "apprentice" and rule in actions:
            return follow(len(actions), actions.index(rule), self.settings.apprentice_share), "rule"
        mixture = self.settings.exploration.over(
            q, self.epsilon, self.updates, lambda: self.table.variances(state, actions)
        )
        return mixture, "exploit"

    def fold(self, transition: Transition) -> Update:
        """Move the table towards the transition's targets, last head first.

        The last head takes the reward and bootstraps on the next decision; each head before it has
        reward 0, discount 1 and bootstraps on the best eligible action of the head after it.
        """
        following = transition.next_situation
        q_t = self.values(following) if following is not None and transition.discount else ()
        target = td.q_learning(transition.reward, transition.discount, q_t)
        for position in range(len(transition.steps) - 1, -1, -1):
            step = transition.steps[position]
            situation, prior = step.situation, self.prior(step.situation.rule)
            before = self.table.read(situation.state, (step.action,), prior)[0]
            self.table.move(
                situation.state, step.action, target, prior.get(step.action, 0.0), self._head_start(step.action, prior)
            )
            if position:
                target = td.q_learning(0.0, 1.0, self.values(situation))
        self.updates += 1
        return Update(
            target=target,
            q_before=before,
            td_error=target - before,
            discount=transition.discount,
            truncated=transition.truncated,
            visits=self.table.known(situation.state, step.action)[1],
        )

    def _head_start(self, action: str, prior: Mapping[str, float]) -> int:
        return self.settings.prior_visits if action in prior else 0

    def __repr__(self) -> str:
        return f"<Policy {self.settings.mode}, {self.updates} updates, {self.table!r}>"


def _moved(mixture: Mixture, eligible: Eligible) -> tuple[Mixture, Move | None]:
    """The mixture after the move that was asked for, with what it came to; None where there was nothing to move."""
    move, actions = eligible.move, eligible.actions
    if move is None or move.source not in actions or move.target not in actions:
        return mixture, None
    source = actions.index(move.source)
    if not (moved := (1.0 - mixture.uniform) * mixture.preference[source] * move.share):
        return mixture, None
    after = mixture.moved(source, actions.index(move.target), move.share)
    return after, Move(move.source, move.target, move.share, moved)
