"""Decisions that were added up, in parts and in any number of them, are worth what they are one by one."""

import msgspec
import numpy as np
import pytest

from strategist import EpsilonDecay, PolicySettings, PolicySnapshot
from strategist.evaluation import (
    AddedReport,
    LoggedDecision,
    Part,
    Replay,
    Report,
    Stood,
    Student,
    Tally,
    Target,
    edges,
    judge,
    judge_added,
    merged,
    tally,
    taught,
)

from .logs import coin_tasks, drawn, sight

CLOSE = 1e-9
BOLD = Target(settings=PolicySettings(epsilon=EpsilonDecay(start=0.3)))


def part(log: list[LoggedDecision], student: Student, first: int) -> Tally:
    """The tally of decisions, of which the first is that of number `first` of the valued ones."""
    stood: dict[str, Stood] = {}
    for each in log:
        here = each.sight.situation
        stood.setdefault(repr(here), Stood(here.state.chains, here.actions, student.probabilities(each.sight)))
    numbers = {name: number for number, name in enumerate(stood)}
    impossible = [(row, at) for row, d in enumerate(log) for at, p in enumerate(d.possible()) if p == 0.0]
    rows, places = np.array(impossible, np.intp).reshape(-1, 2).T
    return tally(
        stood,
        Part(
            sights=np.array([numbers[repr(d.sight.situation)] for d in log]),
            places=np.array([d.sight.situation.actions.index(d.action) for d in log]),
            rewards=np.array([d.reward for d in log]),
            propensities=np.array([d.propensity for d in log]),
            folds=(first + np.arange(len(log))) % 5,
            impossible=(rows, places),
        ),
    )


def added(log: list[LoggedDecision], target: Target, size: int) -> AddedReport:
    """The report from tallies of `size` decisions each."""
    ends, before = edges(len(log)), list(taught(log, len(log), target))
    blocks = []
    for block, learnt in enumerate(before[:-1]):
        student = Student(target, learnt)
        begins = range(ends[block], ends[block + 1], size)
        pieces = [part(log[b : min(b + size, ends[block + 1])], student, b - ends[0]) for b in begins]
        blocks.append(merged(pieces))
    return judge_added(blocks, ends, [learnt.updates for learnt in before[:-1]])


def whole(log: list[LoggedDecision], target: Target) -> Report:
    return judge(log, target, list(Replay(log, target).blocks())[-1].blocks, seed=1)


def uneven(seed: int, count: int) -> list[LoggedDecision]:
    """Weights on both sides of where switch-dr ends, and states with other actions."""
    log = drawn(seed, count, epsilon=0.25)
    rng = np.random.default_rng(seed)
    return [
        msgspec.structs.replace(d, reward=float(rng.normal()), sight=sight(f"{d.sight.facts['hour']} {row % 3}"))
        for row, d in enumerate(log)
    ]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_parts_added_up_give_the_report_of_the_whole(seed: int, size: int) -> None:
    log = uneven(seed, 1500)
    told, one_by_one = added(log, BOLD, size), whole(log, BOLD)
    assert one_by_one.values, one_by_one.refused
    assert told.diagnostics.largest_weight == one_by_one.diagnostics.largest_weight > 5.0
    assert told.refused == one_by_one.refused
    for name, value in one_by_one.values.items():
        assert told.values[name].value == pytest.approx(value.value, abs=CLOSE)
        ends, other = told.values[name].normal, value.normal
        assert (ends.low, ends.high) == pytest.approx((other.low, other.high), abs=CLOSE), name
    assert told.logged.value == pytest.approx(one_by_one.logged.value, abs=CLOSE)
    for block, other_block in zip(told.blocks, one_by_one.blocks, strict=True):
        assert msgspec.structs.astuple(block) == pytest.approx(msgspec.structs.astuple(other_block), abs=CLOSE)
    assert msgspec.structs.astuple(told.diagnostics) == pytest.approx(
        msgspec.structs.astuple(one_by_one.diagnostics), abs=1e-7
    )


def test_what_the_log_could_not_take_is_refused_as_in_the_whole(seed: int) -> None:
    log = [
        msgspec.structs.replace(d, action="fair", propensity=1.0, probabilities=(0.0, 1.0, 0.0))
        for d in drawn(seed, 400)
    ]
    told, one_by_one = added(log, BOLD, 50), whole(log, BOLD)
    assert told.diagnostics.unsupported == pytest.approx(one_by_one.diagnostics.unsupported, abs=CLOSE)
    assert told.refused == one_by_one.refused != []
    assert told.values == {}
    assert {(block.ips, block.snips, block.dr) for block in told.blocks} == {(None, None, None)}


@pytest.mark.parametrize("mode", ["learning", "frozen"])
def test_a_log_that_is_read_once_teaches_the_same_bit_for_bit(seed: int, mode: str) -> None:
    log = coin_tasks(seed, 60)
    target = Target(settings=PolicySettings(gamma=0.9, mode=mode))
    snapshots = list(taught(iter(log), len(log), target))
    kept = list(Replay(log, target).blocks())
    assert snapshots[-1] == kept[-1].learnt
    assert [each.updates for each in snapshots[:-1]] == [block.updates for block in kept[-1].blocks]
    assert isinstance(snapshots[0], PolicySnapshot)
    assert (snapshots[-1].updates == len(log)) == (mode == "learning")
