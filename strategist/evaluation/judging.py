"""From a finished replay to what it answers: diagnostics first, and figures only where the log supports them."""

from collections.abc import Sequence

import numpy as np

from . import estimates
from .arrays import Columns
from .beside import beside
from .diagnostics import Bin, Diagnostics, calibration
from .estimators import LAM, TAU, Floats, dm, dr, dr_os, influence, ips, snips, switch_dr
from .intervals import anytime
from .log import LoggedDecision
from .replay import Block
from .report import BlockValue, Difference, Differences, Estimate, Lacking, Report
from .student import Probabilities
from .target import Target
from .tasks import judge_tasks

EXAMPLES = 10
NAMED = 3  # chains that a state is called by
LEAST = 1e-9  # probability of an action below which nothing is said of it


def judge(
    log: Sequence[LoggedDecision], target: Target, blocks: Sequence[Block], seed: int, cannot: Sequence[str] = ()
) -> Report:
    """What the replay of a log answers; equal inputs give equal answers.

    Args:
      cannot: what the log cannot answer besides, in sentences.
    """
    first = blocks[0].first
    valued = log[first:]
    decided = [probabilities for block in blocks for probabilities in block.probabilities]
    columns = Columns.of(valued, [target.reward(decision) for decision in valued], decided)
    weights, span = columns.weights, target.span(log)
    diagnostics = Diagnostics.of(weights, float(columns.lacking.mean()))
    refused = diagnostics.refusals()
    terms = {} if refused else _terms(columns)
    return Report(
        decisions=len(log),
        learnt_first=first,
        valued=len(valued),
        explored=sum(decision.explored for decision in valued) / len(valued),
        refused=refused,
        diagnostics=diagnostics,
        calibration=_calibration(valued, columns),
        lacking=_lacking(valued, columns) if columns.lacking.any() else [],
        reward_range=span,
        logged=estimates.mean(
            columns.rewards, seed, None if span is None else anytime(columns.rewards, np.ones(len(valued)), *span)
        ),
        values={} if refused else _values(columns, terms, span, seed),
        tasks=judge_tasks(log, target, blocks, seed),
        blocks=[_block_value(valued, columns, terms, block, first, told=not refused) for block in blocks],
        differences=_differences(valued, decided),
        beside=beside(valued, weights, seed, told=not refused),
        cannot=[*cannot, *_masked(valued)],
    )


def _terms(columns: Columns) -> dict[str, Floats]:
    """Every estimator's terms [N]."""
    model, baseline = columns.modelled(columns.rewards)
    taken = (columns.rewards, columns.weights, model, baseline)
    return {
        "ips": ips(*taken[:2]),
        "snips": snips(*taken[:2]),
        "dm": dm(baseline),
        "dr": dr(*taken),
        "switch-dr": switch_dr(*taken, tau=TAU),
        "dr-os": dr_os(*taken, lam=LAM),
    }


def _values(
    columns: Columns, terms: dict[str, Floats], span: tuple[float, float] | None, seed: int
) -> dict[str, Estimate]:
    rewards, weights = columns.rewards, columns.weights
    valid = None if span is None else anytime(rewards, weights, *span)
    found = {name: estimates.mean(of, seed, valid) for name, of in terms.items()}
    moved = influence(terms["snips"], rewards, weights)
    found["snips"] = estimates.ratio(weights * rewards, weights, moved, seed, valid)
    return found


def _block_value(
    valued: Sequence[LoggedDecision],
    columns: Columns,
    terms: dict[str, Floats],
    block: Block,
    begin: int,
    *,
    told: bool,
) -> BlockValue:
    part = slice(block.first - begin, block.last - begin)
    rewards, weights = columns.rewards[part], columns.weights[part]
    told = told and bool(weights.any())
    return BlockValue(
        first_row=valued[part][0].row,
        last_row=valued[part][-1].row,
        decisions=len(rewards),
        learnt=block.updates,
        effective=Diagnostics.of(weights, 0.0).effective,
        logged=float(rewards.mean()),
        ips=float(terms["ips"][part].mean()) if told else None,
        snips=float(snips(rewards, weights).mean()) if told else None,
        dr=float(terms["dr"][part].mean()) if told else None,
    )


def _calibration(valued: Sequence[LoggedDecision], columns: Columns) -> list[Bin]:
    """Over the decisions whose probabilities were logged in full."""
    full = np.array([decision.probabilities is not None for decision in valued])[columns.rows]
    taken = np.zeros(len(columns.rows))
    taken[columns.chosen] = 1.0
    return calibration(columns.possible[full], taken[full])


def _lacking(valued: Sequence[LoggedDecision], columns: Columns) -> list[Lacking]:
    """The states that lack support, those that lack most first."""
    found: dict[str, tuple[int, set[str], float]] = {}
    pairs = np.split(np.arange(len(columns.rows)), np.cumsum(np.bincount(columns.rows))[:-1])
    for row in np.flatnonzero(columns.lacking > LEAST).tolist():
        actions = valued[row].sight.situation.actions
        missing = {
            actions[at]
            for at, pair in enumerate(pairs[row])
            if columns.possible[pair] == 0.0 and columns.target[pair] > LEAST
        }
        count, before, mass = found.get(key := finest(valued[row]), (0, set(), 0.0))
        found[key] = count + 1, before | missing, mass + float(columns.lacking[row])
    most = sorted(found.items(), key=lambda item: (-item[1][2], item[0]))[:EXAMPLES]
    return [Lacking(state=k, decisions=n, actions=sorted(a), probability=p) for k, (n, a, p) in most]


def finest(decision: LoggedDecision) -> str:
    """What a decision's state is called: the finest keys of its first few chains that have a coarser one."""
    chains = decision.sight.situation.state.chains
    return " · ".join([chain[-1] for chain in chains if len(chain) > 1][:NAMED]) or chains[0][-1]


def _differences(valued: Sequence[LoggedDecision], decided: Sequence[Probabilities]) -> Differences:
    examples: dict[tuple[str, str, str], Difference] = {}
    count = 0
    for decision, probabilities in zip(valued, decided, strict=True):
        now = decision.sight.situation.actions[max(range(len(probabilities)), key=probabilities.__getitem__)]
        if now == decision.action:
            continue
        count += 1
        kind = (finest(decision), decision.action, now)
        if len(examples) < EXAMPLES and kind not in examples:
            examples[kind] = Difference(row=decision.row, state=kind[0], logged=kind[1], now=now)
    return Differences(decisions=count, share=count / len(valued), examples=list(examples.values()))


def _masked(valued: Sequence[LoggedDecision]) -> list[str]:
    """Masked actions have no support: no policy could be seen taking them."""
    counts: dict[str, int] = {}
    for decision in valued:
        for action in decision.masked:
            counts[action] = counts.get(action, 0) + 1
    return [f"{action} was masked in {n} of {len(valued)} decisions; it is taken in none of those here" for action, n in
            sorted(counts.items())]  # fmt: skip
