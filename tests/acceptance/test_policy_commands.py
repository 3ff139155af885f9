"""`pointsman policy`, `challenger`, `appeal` and `appeals` against a real server, and how they are refused."""

import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..integration.conftest import Running, chosen
from ..integration.test_challengers import anything_goes, earn, until

Start = Any
Run = Callable[..., subprocess.CompletedProcess[str]]
Ask = Callable[..., Any]
DONE, REFUSED, WRONG_USAGE, UNREACHABLE = 0, 1, 2, 3
GUARDS = """
[[guards]]
name = "no deletion"
effect = "force"
actions = ["BLOCK"]
command = "*kubectl delete*"
environment = { cluster = "prod*" }
"""
PLAN = {"goal": "roll out", "planned_action": "kubectl apply -f x", "environment": {"cluster": "production"}}


@pytest.fixture
def ask(cli: Run) -> Ask:
    """Runs a command with --json; its answer."""

    def run(url: str, *words: str) -> Any:
        done = cli(*words, "--url", url, "--json")
        assert done.returncode == DONE, done.stderr
        return json.loads(done.stdout)

    return run


def test_what_is_set_at_a_point_is_told_before_it_is_set_and_shown_after(
    start: Start, cli: Run, ask: Ask, tmp_path: Path
) -> None:
    server = start()
    (tmp_path / "rules.toml").write_text(GUARDS)
    words = ("--mode", "frozen", "--weights", "outcome=2", "cost=1", "--ceiling", "0.5", "--guards", "rules.toml")
    done = cli("policy", "set", "gate", *words, "--reason", "a risky week", "--url", server.url)
    assert (done.returncode, done.stderr) == (DONE, "")
    rule = "no deletion: force BLOCK where command *kubectl delete*, cluster prod*"
    assert done.stdout.splitlines() == [
        "mode: learning -> frozen",
        "risk ceiling: 0.8 -> 0.5",
        "weight of outcome: 1.0 -> 2.0",
        f"guard rules: none -> {rule}",
        f"set at gate from the next decision on, as version {ask(server.url, 'policy', 'show', 'gate')['version']}",
    ]
    shown = cli("policy", "show", "--point", "gate", "--url", server.url).stdout
    for said in ("gate: frozen, version", "a risky week", "outcome 2", "risk ceiling 0.5", f"guard rule: {rule}"):
        assert said in shown
    blocked = {"planned_action": "kubectl delete ns x", "environment": {"cluster": "production"}}
    assert server.post("/v1/decisions", blocked)["action"] == "BLOCK"
    set_again = ask(server.url, "policy", "set", "gate", "--mode", "learning", "--reason", "it is over")
    assert (set_again["mode"], set_again["rules"]["risk_ceiling"]) == ("learning", 0.5), "the rest stays"


def front_of_a_grid(cli: Run, folder: Path, seed: int) -> dict[str, Any]:
    """The report of a grid's replay on a drawn log: of three places one is the best, one the cheapest, one neither."""
    rng = random.Random(seed)
    rows = []
    for _ in range(600):
        place, chance, cost = rng.choice((("good", 0.9, 0.5), ("cheap", 0.4, 0.1), ("bad", 0.2, 0.9)))
        row = {"state": "any", "actions": ["good", "cheap", "bad"], "action": place, "propensity": 1 / 3}
        success = rng.random() < chance
        terms = {"success": float(success), "cost": 1.0 - cost}
        rows.append({**row, "terms": terms, "success": success, "cost_usd": cost})
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "grid.toml").write_text("[weights]\nsuccess = [0.0, 1.0]\ncost = [-2.0, 0.2]\n")
    told = cli("replay", "--log", "log.jsonl", "--grid", "grid.toml", "--json")
    assert told.returncode == DONE, told.stderr
    (folder / "front.json").write_text(told.stdout)
    report: dict[str, Any] = json.loads(told.stdout)
    return report


def test_the_weights_of_a_chosen_point_of_a_front_are_set_and_all_others_are_nothing(
    start: Start, cli: Run, ask: Ask, tmp_path: Path, seed: int
) -> None:
    """As the grid's policies were replayed: they weigh nothing but the terms of the grid."""
    server, points = start(), front_of_a_grid(cli, tmp_path, seed)["points"]
    assert [point["number"] for point in points] == [1, 2, 3, 4]
    best = next(point for point in points if point["on_front"] and point["weights"]["success"] == 1.0)
    choosing = ("policy", "set", "route", "--from-front", "front.json", "--choose")
    done = cli(*choosing, str(best["number"]), "--url", server.url)
    assert (done.returncode, done.stderr) == (DONE, "")
    assert {"weight of latency: 0.4 -> 0.0", "weight of success: 0.0 -> 1.0"} <= set(done.stdout.splitlines())
    now = ask(server.url, "policy", "show", "route")
    assert now["rules"]["weights"] == {**dict.fromkeys(("latency", "slo", "failures"), 0.0), **best["weights"]}
    assert now["set_why"] == f"point {best['number']} of front.json"
    told = ask(server.url, *choosing, str(best["number"]), "--reason", "we like it")
    assert (told["set_why"], told["version"] > now["version"]) == ("we like it", True)

    beaten = next(point["number"] for point in points if not point["on_front"])
    (tmp_path / "log.json").write_text("{}")
    for words, said in (
        ((*choosing, str(beaten)), f"point {beaten} is not on the front of front.json; on it are"),
        ((*choosing, "5"), "point 5 is not on the front"),
        ((*choosing, "1", "--weights", "cost=1"), "either named, by --weights, or chosen"),
        (("policy", "set", "route", "--from-front", "front.json"), "--from-front FILE --choose N"),
        (("policy", "set", "route", "--from-front", "none.json", "--choose", "1"), "none.json cannot be read"),
        (("policy", "set", "route", "--from-front", "log.json", "--choose", "1"), "`pointsman replay --grid ..."),
    ):
        refused = cli(*words, "--url", server.url)
        assert (refused.returncode, said in refused.stderr) == (REFUSED, True), refused.stderr
    assert ask(server.url, "policy", "show", "route")["version"] == told["version"], "nothing was set"


def test_a_front_is_told_and_drawn_with_the_numbers_its_points_are_chosen_by(
    cli: Run, tmp_path: Path, seed: int
) -> None:
    points = front_of_a_grid(cli, tmp_path, seed)["points"]
    told = cli("replay", "--log", "log.jsonl", "--grid", "grid.toml", "--svg", "front.svg", COLUMNS="120").stdout
    rows = [line.split("│")[1].strip() for line in told.splitlines() if line.startswith("│")]
    assert rows == [str(point["number"]) for point in points if point["on_front"] or point["in_force"]]
    drawing = (tmp_path / "front.svg").read_text()
    assert [point["number"] for point in points if f">{point['number']}</text>" not in drawing] == []


def test_a_challenger_is_set_shown_promoted_taken_back_and_ended(tmp_path: Path, cli: Run, ask: Ask) -> None:
    why = ("--reason", "to try")
    with Running(chosen(tmp_path / "served")) as server:
        url = server.url
        assert ask(url, "challenger", "show", "route") is None
        assert "nobody stands beside the champion at route" in cli("challenger", "show", "route", "--url", url).stdout
        anything_goes(server)
        words = ("--share", "0.1", "--epsilon", "0", "--weights", "latency=0.5")
        made = ask(url, "challenger", "set", "route", *words, *why)
        assert (made["change"], made["why"]) == ("challenger_set", "to try")
        refused = cli("challenger", "promote", "route", *why, "--url", url)
        assert (refused.returncode, "the challenger is not proven better" in refused.stderr) == (REFUSED, True)
        until(server, better=True)
        shown = cli("challenger", "show", "route", "--url", url).stdout
        for said in ("canary at route since event", "on 10% of the tasks", "tuning: epsilon 0.0", "latency 0.5"):
            assert said in shown
        assert ask(url, "challenger", "promote", "route", *why)["change"] == "promoted"
        earn(server, 5)
        assert "former champion at route" in cli("challenger", "show", "route", "--url", url).stdout
        assert "the former champion is back" in cli("challenger", "rollback", "route", *why, "--url", url).stdout
        ask(url, "challenger", "set", "route", *why)
        assert ask(url, "challenger", "end", "route", *why) == {"point": "route", "ended": True}
        assert ask(url, "challenger", "show", "route") is None


def test_a_block_is_contested_listed_and_ruled_on(start: Start, cli: Run, ask: Ask) -> None:
    server = start(POINTSMAN_GATE_MODE="apprentice", POINTSMAN_APPRENTICE_SHARE="0", POINTSMAN_AUDIT_SHARE="0")
    for _ in range(3):
        server.post("/v1/capture", {**PLAN, "error_trace": "Error: forbidden", "resolution": "set KUBECONFIG"}, 201)
    blocked = server.post("/v1/decisions", PLAN)
    assert blocked["action"] == "BLOCK"
    trace_id = blocked["trace_id"]
    assert ask(server.url, "appeals", "list") == []
    done = cli("appeal", trace_id, "--reason", "it is a dry run", "--url", server.url)
    assert (done.returncode, done.stdout) == (DONE, "contested; the ruling is learnt\n")
    assert [one["trace_id"] for one in ask(server.url, "appeals", "list")] == [trace_id]
    assert trace_id in cli("appeals", "list", "--url", server.url, COLUMNS="120").stdout
    ruled = ask(server.url, "appeals", "rule", trace_id, "--upheld", "--reason", "it is")
    assert ruled["status"] == "upheld"
    again = cli("appeals", "rule", trace_id, "--rejected", "--reason", "no", "--url", server.url)
    assert (again.returncode, "there is a ruling on this appeal" in again.stderr) == (REFUSED, True)
    assert ask(server.url, "appeals", "list") == []


def test_what_cannot_be_set_is_refused_with_what_to_do(start: Start, cli: Run, tmp_path: Path) -> None:
    url = start().url
    (tmp_path / "bad.toml").write_text('[[guards]]\nname = "x"\neffect = "maybe"\nactions = ["BLOCK"]\n')
    (tmp_path / "half.json").write_text("{")
    why = ("--reason", "x")
    for words, code, said in (
        (("policy", "set", "gate", "--mode", "frozen"), REFUSED, "and why (--reason)"),
        (("policy", "set", "gate", *why), REFUSED, "say what to set"),
        (("policy", "set", "gate", "--guards", "bad.toml", *why), REFUSED, "bad.toml holds no guard rules"),
        (("policy", "set", "gate", "--guards", "half.json", *why), REFUSED, "half.json is no JSON"),
        (("policy", "set", "gate", "--guards", "none.toml", *why), REFUSED, "none.toml cannot be read"),
        (("policy", "set", "gate", "--weights", "result=1", *why), REFUSED, "gate has the terms"),
        (("policy", "show", "nowhere"), REFUSED, "point"),
        (("challenger", "end", "route", *why), REFUSED, "nobody stands beside the champion"),
        (("challenger", "rollback", "route", *why), REFUSED, "nobody stands beside the champion"),
        (("appeal", "tr_unknown", *why), REFUSED, "No decision has this trace_id"),
        (("policy", "set", "gate", "--weights", "success", *why), WRONG_USAGE, "is no TERM=WEIGHT"),
        (("policy", "set", "gate", "--weights", "success=nan", *why), WRONG_USAGE, "is no TERM=WEIGHT"),
        (("policy", "set", "gate", "--ceiling", "2", *why), WRONG_USAGE, "Must be <= 1"),
        (("appeals", "rule", "tr_unknown", *why), WRONG_USAGE, "--upheld"),
        (("challenger", "set", "route"), WRONG_USAGE, "--reason"),
        (("policy", "show", "gate", "--url", "http://127.0.0.1:9"), UNREACHABLE, "no server answers"),
    ):
        done = cli(*words, *(() if "--url" in words else ("--url", url)))
        assert (done.returncode, said in done.stderr) == (code, True), (words, done.stderr)
