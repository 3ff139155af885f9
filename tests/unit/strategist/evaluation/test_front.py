"""Many weights on one log: a front that nobody is beaten on, reported where it was not chosen."""

import msgspec
import numpy as np
import pytest

from strategist import EpsilonDecay, PolicySettings
from strategist.evaluation import Front, LoggedDecision, Target, pareto
from strategist.evaluation.front import _best

from .logs import ACTIONS, drawn, sight

TARGET = Target(settings=PolicySettings(epsilon=EpsilonDecay(start=0.1)))


def trading(seed: int, count: int = 4000) -> list[LoggedDecision]:
    """The better an action the more it costs; `wasteful` costs most and is worth nothing."""
    actions, rng = (*ACTIONS, "wasteful"), np.random.default_rng(seed)
    chances, costs = (0.2, 0.5, 0.8, 0.1), (0.0, 0.3, 1.0, 1.0)
    log = []
    for row in range(count):
        action = int(rng.integers(4))
        success = bool(rng.random() < chances[action])
        log.append(
            LoggedDecision(
                row=row,
                sight=sight("day", actions),
                action=actions[action],
                propensity=0.25,
                reward=float(success),
                terms={"success": float(success), "cost": 1.0 - costs[action], "waste": float(action == 3)},
                success=success,
                cost_usd=costs[action],
            )
        )
    return log


GRID = [{"success": 1.0, "cost": 0.0}, {"success": 1.0, "cost": 0.8}, {"success": 0.0, "cost": 1.0}, {"waste": 1.0}]


def front(seed: int, in_force: dict[str, float] | None = None, count: int = 4000) -> Front:
    return pareto(trading(seed, count), TARGET, GRID, in_force, seed, lambda done, of: None)


def test_what_buys_less_for_more_is_not_on_the_front(seed: int) -> None:
    found = front(seed)
    assert found.objectives == ["success", "cost_usd"]
    assert [point.on_front for point in found.points] == [True, True, True, False]
    best, _, thrifty, _ = found.points
    assert best.compared["success"] > thrifty.compared["success"] + 0.3
    assert best.compared["cost_usd"] > thrifty.compared["cost_usd"] + 0.3


def test_points_are_reported_on_what_they_were_not_compared_on(seed: int) -> None:
    """Whatever the second half tells, comparison and front stay as they are, and what is reported moves."""
    log = trading(seed)
    turned = log[:2400] + [msgspec.structs.replace(d, success=not d.success) for d in log[2400:]]
    found, other = (pareto(rows, TARGET, GRID, None, seed, lambda done, of: None) for rows in (log, turned))
    assert (found.compared_on, found.reported_on) == (1600, 1600)
    assert [p.compared for p in found.points] == [p.compared for p in other.points]
    assert [p.on_front for p in found.points] == [p.on_front for p in other.points]
    assert found.points[0].reported["success"].value == pytest.approx(1 - other.points[0].reported["success"].value)


def test_the_policy_in_force_is_marked_and_reported_though_it_is_beaten(seed: int) -> None:
    found = front(seed, in_force={"waste": 1.0})
    assert [point.in_force for point in found.points] == [False, False, False, True]
    assert found.points[3].reported["success"].value < 0.2
    added = front(seed, in_force={"waste": 0.5})
    assert (len(added.points), added.points[4].in_force, added.points[4].on_front) == (5, True, False)


def test_the_same_inputs_give_the_same_bytes(seed: int) -> None:
    found = [msgspec.json.encode(front(seed, count=800)) for _ in range(2)]
    assert found[0] == found[1]


def test_a_policy_that_the_log_cannot_judge_has_no_figures(seed: int) -> None:
    sure = [msgspec.structs.replace(d, propensity=1.0) for d in trading(seed, 600)]
    for point in pareto(sure, TARGET, GRID, None, seed, lambda done, of: None).points:
        assert point.refused
        assert (point.compared, point.reported, point.on_front) == ({}, {}, False)


def test_dominance_by_hand() -> None:
    cheap, good, bad = ({"success": s, "cost_usd": c} for s, c in ((0.5, 0.1), (0.9, 0.5), (0.5, 0.2)))
    every = [cheap, good, bad, dict(cheap)]
    assert [_best(one, every) for one in every] == [True, True, False, True], "equals do not beat each other"
    assert not _best({}, every)


def test_progress_is_told_for_each_policy(seed: int) -> None:
    told: list[tuple[int, int]] = []
    pareto(drawn(seed, 200), TARGET, [{"success": 1.0}, {"speed": 1.0}], None, seed, lambda d, of: told.append((d, of)))
    assert told == [(1, 2), (2, 2)]
