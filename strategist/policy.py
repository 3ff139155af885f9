"""A policy for one tenant at one decision point: it chooses head by head and learns from transitions."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Protocol, Self

import msgspec
from msgspec import Meta

from . import td
from .errors import NoEligibleAction
from .experience import Experience
from .exploration import EpsilonGreedy, ExplorationRule, Mixture, follow, greedy, sample
from .federation import Entries, FederatedTable
from .schedules import EpsilonDecay, StepSize
from .tables import BackoffTable
from .types import Eligible, Exploration, HeadChoice, Link, Move, Situation, State, Transition, Update
from .values import ActionValues, Estimates, Prior

Mode = Literal["learning", "apprentice", "frozen"]
UpdateRule = Literal["q_learning", "expected_sarsa", "tree_backup"]
Unit = Annotated[float, Meta(ge=0.0, le=1.0)]
Visits = Annotated[int, Meta(ge=0, le=1_000_000)]
Returns = tuple[float, ...]  # a target for each head of a decision; none where each is made when it is needed
Came = tuple[str, float]  # the action that was taken next, and what came of it
NOTHING_KNOWN: Mapping[str, float] = {}
NOISE, NOISE_VISITS, NOISE_FLOOR = 0.04, 10, 0.02  # mean squared error before any was seen, and what that is worth


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a fold or a choice depends on besides its data."""

    mode: Mode = "learning"
    gamma: Unit = 0.92
    step: StepSize = StepSize()
    epsilon: EpsilonDecay = EpsilonDecay()
    kappa: Annotated[float, Meta(ge=0.0, le=1e6)] = 10.0  # pseudo-visits by which a cell is shrunk towards its parent
    prior_value: Annotated[float, Meta(ge=-1e6, le=1e6)] = 0.8  # where the rule's action starts
    prior_visits: Visits = 3  # how many visits that start is worth
    apprentice_share: Unit = 0.05  # total probability of everything the rule did not choose
    exploration: ExplorationRule = EpsilonGreedy()  # beside the uniform share, whose size is epsilon
    estimates: Estimates = "table"
    relatives_visits: Visits = 0  # visits it is worth that an action starts as its relatives are; 0: it does not
    update: UpdateRule = "q_learning"
    replayed: Annotated[int, Meta(ge=0, le=100)] = 0  # earlier transitions that are learnt of again at each fold

    @property
    def prior(self) -> Prior:
        return Prior(self.prior_value, self.prior_visits, self.relatives_visits)


class Rng(Protocol):
    """A source of uniform numbers in [0, 1)."""

    def random(self) -> float: ...


class Policy:
    """Chooses from a backoff table and folds transitions into it."""

    def __init__(self, settings: PolicySettings) -> None:
        self.settings = settings
        table = BackoffTable(settings.step, settings.kappa)
        self.action_values = ActionValues(settings.estimates, table, settings.prior)
        self.updates = 0  # folded decisions
        self.experience = Experience()
        self.noise = NOISE  # mean squared error of what was expected

    def configure(self, settings: PolicySettings) -> None:
        self.settings = settings
        self.table.configure(settings.step, settings.kappa)
        self.action_values.estimates, self.action_values.prior = settings.estimates, settings.prior

    @property
    def table(self) -> BackoffTable:
        return self.action_values.table

    def federate(self, entries: Entries) -> None:
        """Read what these origins learnt beside one's own experience from here on, and of no other."""
        step, kappa, rows = self.settings.step, self.settings.kappa, self.table.rows
        self.action_values.table = (
            FederatedTable(step, kappa, rows, entries) if entries else BackoffTable(step, kappa, rows)
        )

    @property
    def epsilon(self) -> float:
        return 0.0 if self.settings.mode == "frozen" else self.settings.epsilon.at(self.updates)

    def values(self, situation: Situation) -> list[float]:
        """Value of each eligible action [A]."""
        return self.action_values.read(situation)

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
        same.action_values, same.updates, same.noise = self.action_values, self.updates, self.noise
        return same

    def choose(
        self,
        head: str,
        state: State,
        eligible: Eligible,
        rng: Rng,
        rule: str | None = None,
        known: Mapping[str, float] = NOTHING_KNOWN,
    ) -> HeadChoice:
        """Draw one eligible action.

        Args:
          rule: the action a fixed rule would take.
          known: what is known of actions' rewards beforehand; 0 for those not named, where any is.

        Raises:
          NoEligibleAction: every action is masked.
        """
        actions = eligible.actions
        if not actions:
            raise NoEligibleAction
        situation = Situation(state, actions, rule, tuple([known.get(a, 0.0) for a in actions]) if known else ())
        q = self.values(situation)
        meant, named = self._mixture(q, situation)
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
            known=situation.known,
            move=move,
        )

    def _mixture(self, q: list[float], situation: Situation) -> tuple[Mixture, Exploration]:
        mode, actions, rule = self.settings.mode, situation.actions, situation.rule
        if mode == "frozen" or len(actions) == 1:
            return greedy(q), "exploit"
        if mode == "apprentice" and rule in actions:
            return follow(len(actions), actions.index(rule), self.settings.apprentice_share), "rule"
        mixture = self.settings.exploration.over(
            q, self.epsilon, self.updates, lambda: self._variances(situation.state, actions)
        )
        return mixture, "exploit"

    def _variances(self, state: State, actions: tuple[str, ...]) -> list[float]:
        """Of each action's value [A], in squared units of the reward."""
        return [self.noise * variance for variance in self.table.variances(state, actions)]

    def fold(self, transition: Transition, seed: int = 0) -> Update:
        """Move the values towards the transition's targets, last head first; then those of a few earlier transitions.

        The last head takes the reward and bootstraps on the next decision; each head before it has
        reward 0, discount 1 and bootstraps on the best eligible action of the head after it. Where that one had a
        single action nothing was chosen, and what came of it is a better target than what is known of it.

        Args:
          seed: of what is drawn from experience: the sequence number of what caused the fold.
        """
        if self.settings.update == "tree_backup":
            return self.fold_back((Link(transition),), seed)[0]
        return self._fold(transition, (), seed)

    def fold_back(self, links: Sequence[Link], seed: int = 0) -> list[Update]:
        """Fold decisions that led to each other, last first.

        Under `tree_backup` each takes what came of the one it led to, made of the values before any of them moved.
        """
        if self.settings.update != "tree_backup":
            return [self._fold(link.transition, (), seed) for link in links]
        returns: list[Returns] = []
        for link in links:
            after = link.after
            came = None if after is None else (links[after].transition.steps[0].action, returns[after][0])
            returns.append(self._returns(link.transition, came))
        return [self._fold(link.transition, of, seed) for link, of in zip(links, returns, strict=True)]

    def _fold(self, transition: Transition, returns: Returns, seed: int) -> Update:
        update = self._move(transition, returns)
        self.updates += 1
        if self.settings.replayed:
            for earlier in self.experience.draws(seed, self.settings.replayed):
                self._move(earlier, again=True)
            self.experience.add(transition)
        return update

    def _returns(self, transition: Transition, came: Came | None) -> Returns:
        returns = [self._target(transition, came)]
        for step in reversed(transition.steps[1:]):
            returns.insert(0, self._backed_up(0.0, 1.0, step.situation, (step.action, returns[0])))
        return tuple(returns)

    def _move(self, transition: Transition, returns: Returns = (), *, again: bool = False) -> Update:
        target = returns[-1] if returns else self._target(transition)
        for position in range(len(transition.steps) - 1, -1, -1):
            step = transition.steps[position]
            before = self.action_values.move(step.situation, step.action, target, again=again)
            if not again:
                self._note_error(target - before)
            if position and returns:
                target = returns[position - 1]
            elif position and len(step.situation.actions) > 1:
                target = td.q_learning(0.0, 1.0, self.values(step.situation))
        return Update(
            target=target,
            q_before=before,
            td_error=target - before,
            discount=transition.discount,
            truncated=transition.truncated,
            visits=self.table.known(step.situation.state, step.action)[1],
        )

    def _target(self, transition: Transition, came: Came | None = None) -> float:
        following = transition.next_situation
        if following is None or not transition.discount:
            return transition.reward
        return self._backed_up(transition.reward, transition.discount, following, came)

    def _backed_up(self, reward: float, discount: float, following: Situation, came: Came | None) -> float:
        q_t, probabilities = self.values(following), following.probabilities
        if self.settings.update == "q_learning" or not probabilities:
            return td.q_learning(reward, discount, q_t)
        if came is None:
            return td.expected_sarsa(reward, discount, q_t, probabilities)
        action, return_t = came
        return td.tree_backup(reward, discount, q_t, probabilities, following.actions.index(action), return_t)

    def _note_error(self, error: float) -> None:
        step = max(NOISE_FLOOR, 1.0 / (1 + NOISE_VISITS + self.updates))
        self.noise += step * (error * error - self.noise)

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
