"""The same log from every kind of file; rows that cannot be used are named, or counted where that was asked for."""

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from controlplane.errors import UnusableLog
from controlplane.replay.files import read_log
from controlplane.replay.log import Log
from strategist.evaluation import Target
from strategist.features.spec import FeatureSpec, Tiling

Row = dict[str, Any]
ROWS: list[Row] = [
    {"actions": ["a", "b"], "action": "a", "propensity": 0.25, "probabilities": [0.25, 0.75], "reward": 1.0,
     "facts": {"region": "eu", "load": 0.5}, "success": True, "cost_usd": 0.1, "latency_ms": 20.0, "task_id": "t"},
    {"actions": ["a", "b"], "action": "b", "propensity": 0.75, "probabilities": [0.25, 0.75], "reward": 0.0,
     "facts": {"region": "us", "load": 0.9}, "success": False, "cost_usd": 0.2, "latency_ms": 30.0, "task_id": "t"},
    {"actions": ["a", "b"], "action": "b", "propensity": 0.5, "probabilities": [0.5, 0.5], "reward": 1.0,
     "facts": {"region": "us", "load": 0.9}, "success": True, "cost_usd": 0.2, "latency_ms": 30.0, "task_id": "u"},
]  # fmt: skip


def json_lines(file: Path, rows: list[Row]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def comma_separated(file: Path, rows: list[Row]) -> None:
    """Facts as columns of their own, lists as JSON."""
    flat = [
        {
            **{name: json.dumps(v) if isinstance(v, list) else v for name, v in row.items() if name != "facts"},
            **{f"fact.{name}": v for name, v in row.get("facts", {}).items()},
        }
        for row in rows
    ]
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(dict.fromkeys(name for row in flat for name in row)))
        writer.writeheader()
        writer.writerows(flat)


def parquet(file: Path, rows: list[Row]) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file)


WRITERS: dict[str, Callable[[Path, list[Row]], None]] = {
    "log.jsonl": json_lines,
    "log.ndjson": json_lines,
    "log.csv": comma_separated,
    "log.parquet": parquet,
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Log]:
    """Writes rows to a file of a kind and reads them."""

    def run(rows: list[Row], name: str = "log.jsonl", target: Target | None = None, *, skip: bool = False) -> Log:
        WRITERS[name](tmp_path / name, rows)
        return read_log(tmp_path / name, target or Target(), skip_bad_rows=skip)

    return run


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_log(read: Callable[..., Log], name: str) -> None:
    log = read(ROWS, name)
    assert [d.action for d in log.decisions] == ["a", "b", "b"]
    assert [d.propensity for d in log.decisions] == [0.25, 0.75, 0.5]
    assert [d.probabilities for d in log.decisions] == [(0.25, 0.75), (0.25, 0.75), (0.5, 0.5)]
    assert [d.reward for d in log.decisions] == [1.0, 0.0, 1.0]
    assert [d.success for d in log.decisions] == [True, False, True]
    assert [(d.cost_usd, d.latency_ms) for d in log.decisions] == [(0.1, 20.0), (0.2, 30.0), (0.2, 30.0)]
    chains = log.decisions[0].sight.situation.state.chains
    assert [chain[-1] for chain in chains] == ["own:load/+n1", "own:region/eu", "own/load=+n1/region=eu"]
    assert (log.left_out, log.notes) == ([], [])


@pytest.mark.parametrize("name", WRITERS)
def test_a_task_goes_on_with_its_next_row_and_ends_with_its_last(read: Callable[..., Log], name: str) -> None:
    first, second, third = read(ROWS, name).decisions
    assert (first.following, first.followed_by) == (second.sight, second.row)
    assert second.sight.situation.probabilities == second.probabilities
    assert (second.following, second.followed_by) == (None, None)
    assert third.following is None


def test_a_row_may_say_that_its_task_ends(read: Callable[..., Log]) -> None:
    [first, *_] = read([{**ROWS[0], "terminal": True}, *ROWS[1:]]).decisions
    assert first.following is None


BAD: list[tuple[Row, str]] = [
    ({"propensity": None, "probabilities": None}, "propensity is missing"),
    ({"propensity": 0.0}, "propensity 0.0 is not in (0, 1]"),
    ({"propensity": 2.0, "probabilities": None}, "propensity 2.0 is not in (0, 1]"),
    ({"propensity": 0.5}, "propensity 0.5 is not the 0.25"),
    ({"probabilities": [0.25, 0.5]}, "probabilities add up to 0.75, not 1"),
    ({"action": "c"}, "action 'c' is not among the eligible ones"),
    ({"action": "c", "propensity": None}, "action 'c' is not among the eligible ones"),
    ({"action": "b", "propensity": None, "probabilities": [1.0]}, "1 probabilities for 2 actions"),
    ({"propensity": 1e-320, "probabilities": None}, "propensity 1e-320 is less than anybody draws with"),
    ({"reward": 1e200}, "reward is 1e+200"),
    ({"cost_usd": 1e308}, "cost_usd is 1e+308"),
    ({"reward": None}, "reward is missing"),
]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(("wrong", "said"), BAD, ids=[said for _, said in BAD])
def test_a_row_that_cannot_be_used_is_named(read: Callable[..., Log], name: str, wrong: Row, said: str) -> None:
    rows = [ROWS[0], {**ROWS[0], **wrong}, ROWS[2]]
    row = 3 if name == "log.csv" else 2  # a CSV file has its columns' names in line 1
    with pytest.raises(UnusableLog) as refused:
        read(rows, name)
    assert str(refused.value).startswith(f"row {row}: ")
    assert said in str(refused.value)
    assert "--skip-bad-rows" in str(refused.value)
    skipped = read(rows, name, skip=True)
    assert len(skipped.decisions) == 2
    assert skipped.left_out[0].startswith(f"1 row(s) were left out: row {row}: ")


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])
def test_a_fact_too_large_to_be_compared_is_named(read: Callable[..., Log], name: str) -> None:
    with pytest.raises(UnusableLog, match="fact load is a larger number than can be compared"):
        read([ROWS[0], {**ROWS[1], "facts": {"load": 10**400}}], name)


def test_a_row_nested_without_end_is_named(tmp_path: Path) -> None:
    deep = "[" * 100_000
    (tmp_path / "log.jsonl").write_text('{"state": ' + deep)
    (tmp_path / "log.csv").write_text(f'action,state\na,"{deep}"\n')
    for name, row in (("log.jsonl", 1), ("log.csv", 2)):
        with pytest.raises(UnusableLog, match=f"row {row}: maximum recursion depth"):
            read_log(tmp_path / name, Target(), skip_bad_rows=False)


@pytest.mark.parametrize("skip", [False, True])
def test_a_column_that_is_there_twice_is_refused(tmp_path: Path, *, skip: bool) -> None:
    (tmp_path / "log.csv").write_text("action,propensity,reward,propensity\na,0.5,1.0,0.9\n")
    with pytest.raises(UnusableLog, match="the first line names the column 'propensity' twice"):
        read_log(tmp_path / "log.csv", Target(), skip_bad_rows=skip)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_not_a_number_is_no_reward(read: Callable[..., Log], name: str) -> None:
    with pytest.raises(UnusableLog, match="reward is nan"):
        read([ROWS[0], {**ROWS[1], "reward": math.nan}], name)


def test_json_has_no_word_for_what_is_not_a_number(read: Callable[..., Log]) -> None:
    with pytest.raises(UnusableLog, match="row 2: JSON is malformed"):
        read([ROWS[0], {**ROWS[1], "reward": math.nan}])


@pytest.mark.parametrize("name", WRITERS)
def test_a_column_nobody_knows_is_refused(read: Callable[..., Log], name: str) -> None:
    with pytest.raises(UnusableLog, match="propensty"):
        read([{**ROWS[0], "propensty": 0.5}], name)


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    """Anywhere within its last row, or, where its end says what it is, anywhere."""
    whole = tmp_path / name
    WRITERS[name](whole, ROWS * 5)
    content = whole.read_bytes()
    whole.write_bytes(content[:-30])
    with pytest.raises(UnusableLog, match=r"row 1[56]|cut short"):
        read_log(whole, Target(), skip_bad_rows=False)


def test_skipping_does_not_make_a_damaged_parquet_file_whole(tmp_path: Path) -> None:
    parquet(tmp_path / "log.parquet", ROWS)
    (tmp_path / "log.parquet").write_bytes((tmp_path / "log.parquet").read_bytes()[:-20])
    with pytest.raises(UnusableLog, match="cut short"):
        read_log(tmp_path / "log.parquet", Target(), skip_bad_rows=True)


def test_bytes_that_are_no_text_are_refused_by_row(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(b"action,reward\na,1\n\xff\xfe,0\n")
    with pytest.raises(UnusableLog, match=r"row \d: it is no CSV in UTF-8"):
        read_log(tmp_path / "log.csv", Target(), skip_bad_rows=False)
    json_lines(tmp_path / "log.jsonl", ROWS)
    with (tmp_path / "log.jsonl").open("ab") as opened:
        opened.write(b"\xff\n")
    with pytest.raises(UnusableLog, match="row 4: "):
        read_log(tmp_path / "log.jsonl", Target(), skip_bad_rows=False)


@pytest.mark.parametrize("name", ["log.txt", "log"])
def test_a_file_of_another_kind_is_refused_with_those_that_are_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableLog, match=r"\.csv, \.dsjson, \.jsonl, \.ndjson, \.parquet"):
        read_log(tmp_path / name, Target(), skip_bad_rows=False)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableLog, match=r"none\.csv cannot be read: No such file"):
        read_log(tmp_path / "none.csv", Target(), skip_bad_rows=False)


def test_where_no_row_names_its_actions_all_are_eligible_and_it_is_said(read: Callable[..., Log]) -> None:
    bare = [{"action": a, "propensity": 0.5, "reward": 1.0} for a in ("b", "a", "b")]
    log = read(bare)
    assert {d.sight.situation.actions for d in log.decisions} == {("a", "b")}
    assert "every action of the log counts as eligible" in log.notes[0]
    with pytest.raises(UnusableLog, match="its eligible actions are missing, which other rows name"):
        read([*bare, ROWS[0]])


def test_probabilities_may_be_given_by_name(read: Callable[..., Log]) -> None:
    [decision] = read([{"action": "b", "probabilities": {"a": 0.9, "b": 0.1}, "reward": 1.0}]).decisions
    assert (decision.sight.situation.actions, decision.propensity) == (("a", "b"), 0.1)


def test_states_may_be_named_or_given_as_chains(read: Callable[..., Log]) -> None:
    named, chained = read([
        {"action": "a", "actions": ["a"], "propensity": 1.0, "reward": 1.0, "state": "night"},
        {"action": "a", "actions": ["a"], "propensity": 1.0, "reward": 1.0, "state": [["x", "x/y"]]},
    ]).decisions  # fmt: skip
    assert named.sight.situation.state.chains == (("state", "state/night"),)
    assert chained.sight.situation.state.chains == (("x", "x/y"),)


def test_terms_are_weighed_by_the_policy(read: Callable[..., Log]) -> None:
    row = {"action": "a", "actions": ["a"], "propensity": 1.0, "terms": {"success": 1.0, "cost": -0.5}}
    weighing = Target(weights={"success": 1.0, "cost": 0.2})
    [decision] = read([row], target=weighing).decisions
    assert weighing.reward(decision) == pytest.approx(0.9)
    with pytest.raises(UnusableLog, match="reward is missing"):
        read([row])
    with pytest.raises(UnusableLog, match="no terms that the policy's weights could weigh"):
        read([ROWS[0]], target=weighing)


def test_features_need_facts(read: Callable[..., Log]) -> None:
    spec = FeatureSpec(point="route", version=1, features={}, tilings=(Tiling(name="all", levels=((),)),))
    with pytest.raises(UnusableLog, match="the row has no facts to read"):
        read([{"action": "a", "actions": ["a"], "propensity": 1.0, "reward": 1.0}], target=Target(spec=spec))


DSJSON = {
    "_label_cost": -1.0, "_label_probability": 0.8, "_label_Action": 2, "_labelIndex": 1, "EventId": "e",
    "a": [2, 1], "p": [0.8, 0.2], "VWState": {"m": "x/1"},
    "c": {"User": {"_age": 3, "type": "gamer"}, "hour": 7, "_multi": [{"_tag": "news"}, {"i": {"id": "sport"}}]},
}  # fmt: skip


def test_dsjson_tells_actions_probabilities_and_context(tmp_path: Path) -> None:
    json_lines(tmp_path / "log.dsjson", [DSJSON])
    [decision] = read_log(tmp_path / "log.dsjson", Target(), skip_bad_rows=False).decisions
    assert (decision.action, decision.propensity, decision.reward) == ("sport", 0.8, 1.0)
    assert decision.sight.situation.actions == ("sport", "news")
    assert decision.probabilities == (0.8, 0.2)
    assert decision.sight.facts == {"User.type": "gamer", "hour": 7}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"_skipLearn": True}, "not activated"),
        ({"p": [1.0]}, "not the same number of actions"),
        ({"a": [3, 1]}, "c._multi, with 2, does not have"),
        ({"_label_probability": 0.0}, "propensity 0.0"),
        ({"c": {}}, "no c._multi"),
        ({"_label_cost": None}, "_label_cost"),
    ],
)
def test_a_dsjson_event_that_cannot_be_used_is_named(tmp_path: Path, wrong: Row, said: str) -> None:
    json_lines(tmp_path / "log.dsjson", [DSJSON, {**DSJSON, **wrong}])
    with pytest.raises(UnusableLog, match="row 2: ") as refused:
        read_log(tmp_path / "log.dsjson", Target(), skip_bad_rows=False)
    assert said in str(refused.value)
