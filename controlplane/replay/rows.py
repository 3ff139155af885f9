"""Rows of a log file, all of one shape whatever the file: what each means, and the decisions they make together."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from strategist import Situation, State
from strategist.errors import BadLog
from strategist.evaluation import LoggedDecision, Sight, Target
from strategist.features.bins import Fact
from strategist.features.featurizer import Featurizer
from strategist.features.spec import FeatureSpec, Tiling

from .log import BadRows, Log

PREFIXES = {"fact.": "facts", "term.": "terms"}  # columns that are parts of one
LONGEST = 1024  # bits from which on a whole number has no place among the others
EVERYWHERE = "no row names its eligible actions: every action of the log counts as eligible everywhere"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision.

    actions: eligible ones; probabilities: of each, in the same order, or by name.
    state: its name, or chains of keys from coarse to fine; facts: raw inputs instead of it, or beside it.
    reward: what came of it, or `terms`, which the policy's weights make a reward of.
    terminal: whether its task ends here (else it goes on with the task's next row); truncated: whether it was cut off.
    """

    action: str
    actions: list[str] | None = None
    propensity: float | None = None
    probabilities: list[float] | dict[str, float] | None = None
    state: str | list[list[str]] | None = None
    facts: dict[str, Fact] = {}
    reward: float | None = None
    terms: dict[str, float] = {}
    success: bool | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    explored: bool = False
    task_id: str | None = None
    terminal: bool = False
    truncated: bool = False


def row_of(columns: dict[str, Any]) -> Row:
    """A row from columns; those of `fact.NAME` and `term.NAME` are gathered.

    Raises:
      msgspec.ValidationError: a column is missing, unknown or of another type.
    """
    gathered: dict[str, Any] = {}
    for name, value in columns.items():
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            gathered[name] = value
        elif value is not None:
            gathered.setdefault(PREFIXES[prefix], {})[name.removeprefix(prefix)] = value
    return msgspec.convert({name: value for name, value in gathered.items() if value is not None}, Row, strict=False)


def log_of(rows: Iterable[tuple[int, dict[str, Any]]], target: Target, bad: BadRows) -> Log:
    """The log that numbered rows make.

    Raises:
      UnusableLog: a row cannot be used and is not to be skipped.
    """
    read = list(bad.converted(rows, lambda number, columns: (number, row_of(columns))))
    everything = sorted({row.action for _, row in read})
    every = [] if any(row.actions or isinstance(row.probabilities, dict) for _, row in read) else everything
    made = list(bad.converted(read, lambda number, row: (row, _decision(number, row, every, target))))
    decisions = _linked(made)
    return Log(decisions=decisions, left_out=bad.left_out(), notes=[EVERYWHERE] if every and decisions else [])


def _decision(number: int, row: Row, every: Sequence[str], target: Target) -> LoggedDecision:
    actions, probabilities = _eligible(row, every)
    propensity = row.propensity
    if propensity is None:
        if probabilities is None:
            raise BadLog("propensity is missing; log the probability with which the action was drawn")
        named = dict(zip(actions, probabilities, strict=False))
        propensity = named.get(row.action, 1.0)  # a decision refuses an action or probabilities that do not fit
    decision = LoggedDecision(
        row=number,
        sight=_sight(row, actions, probabilities or (), target.spec),
        action=row.action,
        propensity=propensity,
        probabilities=probabilities,
        reward=0.0 if row.reward is None else row.reward,
        terms=row.terms,
        success=row.success,
        cost_usd=row.cost_usd,
        latency_ms=row.latency_ms,
        explored=row.explored,
        task=row.task_id,
        truncated=row.truncated,
    )
    if target.weights is not None and not row.terms:
        raise BadLog("it has no terms that the policy's weights could weigh; give `terms`, or leave `weights` out")
    if target.weights is None and row.reward is None:
        raise BadLog("reward is missing; give `reward`, or `terms` and a policy with weights")
    return decision


def _eligible(row: Row, every: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """Eligible actions with their probabilities, if they were logged."""
    if isinstance(row.probabilities, dict):
        if row.actions is not None and set(row.actions) != row.probabilities.keys():
            raise BadLog("probabilities are not of the eligible actions; name the same ones in both")
        return tuple(row.probabilities), tuple(row.probabilities.values())
    actions = tuple(row.actions if row.actions is not None else every)
    if not actions:
        raise BadLog("its eligible actions are missing, which other rows name; give `actions`")
    return actions, None if row.probabilities is None else tuple(row.probabilities)


def _sight(row: Row, actions: tuple[str, ...], probabilities: tuple[float, ...], spec: FeatureSpec | None) -> Sight:
    for name, fact in row.facts.items():
        if isinstance(fact, int) and fact.bit_length() >= LONGEST:
            raise BadLog(f"fact {name} is a larger number than can be compared; give it as a text")
    if spec is not None and not row.facts:
        raise BadLog("the policy brings features, and the row has no facts to read; give `facts`")
    return Sight(Situation(_state(row), actions, probabilities=probabilities), facts=row.facts)


def _state(row: Row) -> State:
    if isinstance(row.state, str):
        return State((("state", f"state/{row.state}"),))
    if row.state is not None:
        if not row.state or not all(row.state):
            raise BadLog("state has no keys; give chains of at least one key each, or leave it out")
        return State(tuple(tuple(chain) for chain in row.state))
    unread = FeatureSpec(
        point="log",
        version=1,
        features={},
        tilings=(Tiling(name="all", levels=((),)),),
        own_tilings=len(row.facts),
    )
    return Featurizer(unread).state({}, own=row.facts)


def _linked(made: Sequence[tuple[Row, LoggedDecision]]) -> list[LoggedDecision]:
    """Each decision with where its task's next one stood, unless its task ends with it."""
    following: dict[str, LoggedDecision] = {}
    linked = []
    for row, decision in reversed(made):
        after = None if decision.task is None else following.get(decision.task)
        if after is not None and not row.terminal and not row.truncated:
            linked.append(msgspec.structs.replace(decision, following=after.sight, followed_by=after.row))
        else:
            linked.append(decision)
        if decision.task is not None:
            following[decision.task] = decision
    return linked[::-1]
