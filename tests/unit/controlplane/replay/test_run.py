"""A replay from a log and a policy to its report; finished blocks are kept, and nothing else is believed."""

from pathlib import Path

import msgspec
import pytest

from controlplane.errors import UnusableLog
from controlplane.replay.log import Log
from controlplane.replay.run import replay
from controlplane.replay.unfinished import Unfinished, fingerprint
from strategist import PolicySettings, Situation, State
from strategist.evaluation import Kept, LoggedDecision, Report, Sight, Target

SETTINGS = PolicySettings()


def log(count: int = 200, good: str = "a") -> Log:
    """A coin takes two actions in turn; one of them always works."""
    sight = Sight(Situation(State((("all",),)), ("a", "b")))
    return Log(
        decisions=[
            LoggedDecision(
                row=row, sight=sight, action="ab"[row % 2], propensity=0.5, reward=float("ab"[row % 2] == good)
            )
            for row in range(count)
        ],
        reward_range=(0.0, 1.0),
    )


def quietly(done: int, of: int) -> None:
    """Nobody watches."""


class Interrupted(Exception):
    """Somebody had enough."""


def interrupted_after(blocks: int, unfinished: Unfinished, of: Log, target: Target) -> None:
    told: list[int] = []

    def watch(done: int, total: int) -> None:
        told.append(done)
        if len(told) > blocks:
            raise Interrupted

    with pytest.raises(Interrupted):
        replay(of, target, watch, unfinished)


def encoded(report: Report) -> bytes:
    return msgspec.json.encode(report)


@pytest.mark.parametrize("blocks", [0, 1, 5, 9])
def test_an_interrupted_replay_goes_on_to_the_same_report_and_clears_up(tmp_path: Path, blocks: int) -> None:
    target, of = Target(settings=SETTINGS), log()
    unfinished = Unfinished(tmp_path / "replay.part", fingerprint(of.decisions, target))
    interrupted_after(blocks, unfinished, of, target)
    assert unfinished.path.exists() == (blocks > 0)
    told: list[int] = []
    report = replay(of, target, lambda done, total: told.append(done), unfinished)
    assert len(told) == 10 - blocks, "finished blocks are not done again"
    assert encoded(report) == encoded(replay(of, target, quietly))
    assert list(tmp_path.iterdir()) == []


def test_what_was_kept_of_another_replay_is_not_gone_on_with(tmp_path: Path) -> None:
    """Another log, or another policy."""
    target = Target(settings=SETTINGS)
    unfinished = Unfinished(tmp_path / "replay.part", fingerprint(log().decisions, target))
    interrupted_after(5, unfinished, log(), target)
    for of, other in ((log(good="b"), target), (log(), Target(settings=PolicySettings(kappa=1.0)))):
        assert Unfinished(unfinished.path, fingerprint(of.decisions, other)).read() is None
    assert unfinished.read() is not None


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_damaged_file_of_finished_blocks_is_refused(tmp_path: Path, place: int) -> None:
    target, of = Target(settings=SETTINGS), log()
    unfinished = Unfinished(tmp_path / "replay.part", fingerprint(of.decisions, target))
    interrupted_after(3, unfinished, of, target)
    content = bytearray(unfinished.path.read_bytes())
    content[place] ^= 1
    unfinished.path.write_bytes(bytes(content))
    with pytest.raises(UnusableLog, match=r"replay\.part: the file is .*; delete it, and the replay begins anew"):
        replay(of, target, quietly, unfinished)


def test_kept_blocks_come_back_as_they_were(tmp_path: Path) -> None:
    kept = Kept(blocks=[], learnt=msgspec.convert({"spec_hash": "", "updates": 1, "cells": [("k", "a", 0.1, 2)]},
                                                  type=Kept.__annotations__["learnt"]))  # fmt: skip
    unfinished = Unfinished(tmp_path / "replay.part", "x")
    unfinished.write(kept)
    assert unfinished.read() == kept


@pytest.mark.parametrize("count", [0, 1, 49])
def test_a_log_that_is_too_short_is_refused(count: int) -> None:
    with pytest.raises(UnusableLog, match=rf"the log has {count} decision\(s\) that can be used; a replay needs 50"):
        replay(log(count), Target(), quietly)


def test_a_log_that_is_too_short_says_what_was_left_out() -> None:
    left = msgspec.structs.replace(log(3), left_out=["97 row(s) were left out: row 1: it is no CSV"])
    with pytest.raises(UnusableLog, match=r"a replay needs 50\. 97 row\(s\) were left out: row 1: it is no CSV"):
        replay(left, Target(), quietly)


def test_a_place_that_takes_no_finished_blocks_is_named(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "gone" / "replay.part", "x")
    with pytest.raises(UnusableLog, match=r"replay\.part \(No such file or directory\); make room"):
        replay(log(), Target(settings=SETTINGS), quietly, unfinished)


def test_fifty_decisions_are_enough_to_be_told_something() -> None:
    assert replay(log(50), Target(), quietly).valued == 40


def test_the_range_that_the_source_knows_is_taken() -> None:
    assert replay(msgspec.structs.replace(log(), reward_range=(-3.0, 3.0)), Target(), quietly).reward_range == (-3, 3)
    stated = Target(reward_range=(0.0, 2.0))
    assert replay(msgspec.structs.replace(log(), reward_range=(-3.0, 3.0)), stated, quietly).reward_range == (0, 2)


def test_a_reward_outside_the_stated_range_is_named() -> None:
    with pytest.raises(UnusableLog, match=r"row 0: reward 1.0 is outside reward_range \[0, 0.5\]"):
        replay(log(), Target(reward_range=(0.0, 0.5)), quietly)


def test_a_weight_of_a_term_that_no_decision_has_is_told() -> None:
    report = replay(log(), Target(weights={"speed": 1.0}), quietly)
    assert report.cannot == ["no decision of the log has the term speed; it counts 0"]
