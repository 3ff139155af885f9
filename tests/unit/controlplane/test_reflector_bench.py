"""The benchmark of the local reflector counts what it says, on logs small enough to count by hand."""

import gzip
import json
from pathlib import Path
from typing import Any

from benchmarks.reflector import HALVES, NEEDS, Step, measure

MISSING, LOST, ODD = "ModuleNotFoundError: No module named 'x'", "cat: a: No such file or directory", "who knows"


def task_of(half: str, nth: int = 0) -> str:
    """The nth of the names whose digest puts it into a half."""
    return [name for name in map(str, range(100)) if Step(name, "", "", "").half == half][nth]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(f"{json.dumps(row)}\n" for row in rows)


def shell(half: str, action: str, obs: str, kind: str = "nonzero", *, silent: bool = False) -> dict[str, Any]:
    return {"task": task_of(half), "action": action, "kind": kind, "obs": obs, "empty_fail": silent}


def data(folder: Path) -> Path:
    looked_at, untouched = HALVES
    steps = [
        shell(looked_at, "sed -n 1,2p a", LOST),
        shell(looked_at, "sed -n 3,4p a", "text", kind="ok"),
        shell(looked_at, "grep x a", "", silent=True),
        shell(looked_at, "unreadable", "", kind="format_error"),
        shell(untouched, "python a.py", MISSING),
        shell(untouched, "python a.py", MISSING),
        shell(untouched, "frobnicate", ODD),
        shell(untouched, "cat a", LOST),
    ]
    write(folder / "swe_mini" / "steps.jsonl.gz", steps)
    write(folder / "intercode" / "sql_tasks.jsonl.gz", [{"task": task_of(half), "db": "shop"} for half in HALVES])
    queries = [
        ("select a from t", "[]"),
        ("select b from t", "Error executing query: Unknown column 'b' in 'field list'"),
    ]
    rows = [{"task": task_of(half), "action": sql, "obs": obs} for half in HALVES for sql, obs in queries]
    write(folder / "intercode" / "sql_steps.jsonl.gz", rows)
    return folder


def test_without_data_it_says_what_it_needs() -> None:
    assert measure(None) == {"not_measured": NEEDS}


def test_errors_are_counted_by_step_and_by_text(tmp_path: Path) -> None:
    found = measure(data(tmp_path))["untouched"]["shell"]["errors"]
    assert found["failing_steps"] == 4
    assert found["steps_by_class"] == {"missing_module": 2, "unknown": 1, "not_found_error": 1}
    assert found["share_unknown"] == 0.25
    assert found["distinct_texts"] == 2  # the one that the other half has too was looked at
    assert found["share_unknown_of_texts"] == 0.5


def test_commands_are_gathered_by_signature_and_their_outcomes_compared(tmp_path: Path) -> None:
    found = measure(data(tmp_path))["looked_at"]["shell"]["commands"]
    assert (found["steps"], found["distinct_commands"], found["distinct_signatures"]) == (3, 3, 2)
    assert (found["share_seen_before_word_for_word"], found["share_seen_before_by_signature"]) == (0.0, 0.3333)
    assert (found["merged_groups"], found["merged_with_different_outcomes"]) == (1, 1)
    assert found["merged_pairs_judged"] == {"pairs": 0, "differ_in_what_matters": 0, "not_judged": 1}
    assert (found["share_known_family"], found["share_silly_tool"]) == (1.0, 0.0)


def test_examples_come_from_the_untouched_half(tmp_path: Path) -> None:
    shown = [(e["command"], e["class"], e["root_cause"]) for e in measure(data(tmp_path))["examples"].values()]
    assert sorted(shown) == [
        ("frobnicate", "unknown", ODD),
        ("python a.py", "missing_module", MISSING),
    ]


def test_texts_nobody_has_read_are_not_scored(tmp_path: Path) -> None:
    judged = measure(data(tmp_path))["untouched"]["shell"]["judged"]
    assert judged == dict.fromkeys(judged, 0) | {"not_judged": 2}
