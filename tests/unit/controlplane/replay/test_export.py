"""Where exported decisions go: a file for each day, in the order they were learnt, and never too many in memory."""

from pathlib import Path

from controlplane.replay.export import PartWriter
from controlplane.replay.exported import decisions, groups
from strategist import Situation, State
from strategist.evaluation import LoggedDecision, Sight

DAY_S = 86_400.0
KEY = ("acme/../..", "route")


def decision(row: int) -> LoggedDecision:
    return LoggedDecision(
        row=row, sight=Sight(Situation(State((("all",),)), ("a", "b"))), action="a", propensity=0.5, reward=1.0
    )


def test_days_are_files_in_the_order_of_learning_whatever_the_clock_does(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path)
    for row, at in enumerate((0.0, DAY_S - 1.0, DAY_S, 0.5 * DAY_S, 3 * DAY_S), 1):
        writer.add(KEY, at, decision(row))
    writer.finish()
    [group] = groups(tmp_path)
    assert (group.tenant, group.point) == KEY
    assert [(file.parent.name, count) for file, count in group.files] == [
        ("day=1970-01-01", 2),
        ("day=1970-01-02", 2),
        ("day=1970-01-04", 1),
    ]
    assert [d.row for d in decisions(file for file, _ in group.files)] == [1, 2, 3, 4, 5]


def test_no_more_than_so_many_decisions_wait_to_be_written(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path, most=4)
    for row in range(1, 11):
        writer.add(KEY, 0.0, decision(row))
        writer.add(("bolt", "route"), 0.0, decision(row))
        held = row * 2 - writer.decisions.total()
        assert held < 4, "the largest part is written before more come in"
    writer.finish()
    assert writer.decisions.total() == 20
    for group in groups(tmp_path):
        assert [d.row for d in decisions(file for file, _ in group.files)] == list(range(1, 11))
