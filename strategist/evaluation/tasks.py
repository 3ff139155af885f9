"""Whole tasks: each is judged for the policy as it was when the task began, before any of its decisions was learnt."""

from collections.abc import Sequence

import numpy as np

from . import estimates
from .arrays import Columns
from .diagnostics import Diagnostics
from .estimators import Floats
from .intervals import Interval, between
from .log import LoggedDecision
from .replay import Block, tasks
from .report import Estimate, TasksReport
from .student import Probabilities
from .target import Target
from .trajectories import doubly_robust, per_decision, weighted_influence


def judge_tasks(
    log: Sequence[LoggedDecision], target: Target, blocks: Sequence[Block], seed: int
) -> TasksReport | None:
    """What tasks are worth that begin in the valued part; None where no task has two decisions."""
    begun = [task for task in tasks(log) if log[task[0]].task is not None and min(task) >= blocks[0].first]
    longest = max(map(len, begun), default=0)
    if longest < 2:
        return None
    probabilities = _as_begun(begun, blocks)
    grid = _Grid(begun, longest)
    rewards = [target.reward(log[place]) for task in begun for place in task]
    columns = Columns.of([log[place] for task in begun for place in task], rewards, probabilities)
    earned, ratios = grid.spread(columns.rewards, 0.0), grid.spread(columns.weights, 1.0)
    gamma = target.settings.gamma
    lacking = float(grid.spread(columns.lacking, 0.0).max(axis=1).mean())
    diagnostics = Diagnostics.of(np.prod(ratios, axis=1), lacking)
    refused = diagnostics.refusals()
    logged = per_decision(earned, np.ones_like(ratios), gamma)
    values = {} if refused else _values(columns, grid, (earned, ratios), gamma, seed, target.span(log))
    return TasksReport(
        tasks=len(begun),
        longest=longest,
        refused=refused,
        diagnostics=diagnostics,
        logged=estimates.mean(logged, seed),
        values=values,
    )


class _Grid:
    """Which cell [M, T] each decision of the tasks, one task after the other, stands in."""

    def __init__(self, begun: Sequence[Sequence[int]], longest: int) -> None:
        self.shape = (len(begun), longest)
        self.task = np.array([at for at, task in enumerate(begun) for _ in task], np.intp)
        self._step = np.array([step for task in begun for step in range(len(task))], np.intp)

    def spread(self, values: Floats, past: float) -> Floats:
        """Values of decisions as [M, T], and `past` behind a task's end."""
        grid: Floats = np.full(self.shape, past)
        grid[self.task, self._step] = values
        return grid

    def gathered(self, grid: Floats) -> Floats:
        values: Floats = grid[self.task, self._step]
        return values


def _as_begun(begun: Sequence[Sequence[int]], blocks: Sequence[Block]) -> list[Probabilities]:
    """What the policy would have done at each decision, as it was before the block in which the task begins."""
    found: list[Probabilities] = []
    for task in begun:
        block = next(block for block in blocks if block.first <= min(task) < block.last)
        found += [block.ahead[p] if p >= block.last else block.probabilities[p - block.first] for p in task]
    return found


def _values(
    columns: Columns,
    grid: _Grid,
    tasks_: tuple[Floats, Floats],
    gamma: float,
    seed: int,
    span: tuple[float, float] | None,
) -> dict[str, Estimate]:
    earned, ratios = tasks_
    anytime = None if span is None else _anytime(earned, ratios, gamma, (min(span[0], 0.0), max(span[1], 0.0)))
    returns = np.zeros(len(earned))
    to_come = np.zeros_like(earned)
    for step in range(earned.shape[1] - 1, -1, -1):
        returns = to_come[:, step] = earned[:, step] + gamma * returns
    model, baseline = (grid.spread(of, 0.0) for of in columns.modelled(grid.gathered(to_come), grid.task))
    return {
        "per-decision": estimates.mean(per_decision(earned, ratios, gamma), seed, anytime),
        "weighted-per-decision": estimates.mean(weighted_influence(earned, ratios, gamma), seed, anytime),
        "doubly-robust": estimates.mean(doubly_robust(earned, ratios, model, baseline, gamma), seed, anytime),
    }


def _anytime(earned: Floats, ratios: Floats, gamma: float, span: tuple[float, float]) -> Interval:
    """For all steps of the longest task; behind a task's end there is nothing more to earn."""
    lowest, highest = span
    scaled = (earned - lowest) / (highest - lowest)
    most = float(per_decision(np.ones((1, earned.shape[1])), np.ones((1, earned.shape[1])), gamma)[0])
    gains, losses = (per_decision(part, ratios, gamma) / most for part in (scaled, 1.0 - scaled))
    return between(gains, losses, lowest * most, highest * most)
