"""`pointsman replay`: a report for machines and for people, refusals, an interrupt, the journal of a data folder."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import environment

Run = Callable[..., subprocess.CompletedProcess[str]]
DONE, REFUSED, INTERRUPTED = 0, 1, 130
CHANCES = {"day": (0.2, 0.5, 0.8), "night": (0.7, 0.4, 0.1)}
ACTIONS, PROBABILITIES = ("slow", "fair", "fast"), (0.2, 0.6, 0.2)


def write_log(file: Path, seed: int, count: int) -> None:
    rng = random.Random(seed)
    with file.open("w", encoding="utf-8") as opened:
        for _ in range(count):
            hour = rng.choice(("day", "night"))
            action = rng.choices(range(3), PROBABILITIES)[0]
            row = {
                "facts": {"hour": hour},
                "actions": ACTIONS,
                "action": ACTIONS[action],
                "probabilities": PROBABILITIES,
                "reward": float(rng.random() < CHANCES[hour][action]),
                "terms": {"cost": 1.0 - 0.1 * action},
                "cost_usd": 0.1 * action,
            }
            opened.write(json.dumps(row) + "\n")


@pytest.fixture
def asked(tmp_path: Path, seed: int) -> list[str]:
    """The arguments of a replay of a drawn log."""
    write_log(tmp_path / "log.jsonl", seed, 1500)
    (tmp_path / "policy.toml").write_text("reward_range = [0.0, 1.0]\n[policy]\nkappa = 5.0\n")
    return ["replay", "--log", "log.jsonl", "--policy", "policy.toml"]


def test_machines_are_told_everything_and_the_same_each_time(cli: Run, asked: list[str], tmp_path: Path) -> None:
    told = [cli(*asked, "--json") for _ in range(2)]
    assert (told[0].returncode, told[0].stderr) == (DONE, "")
    assert told[0].stdout == told[1].stdout
    report = json.loads(told[0].stdout)
    assert (report["decisions"], report["learnt_first"], report["valued"]) == (1500, 300, 1200)
    assert report["values"]["dr"]["value"] > report["logged"]["value"] + 0.1
    assert report["values"]["dr"]["anytime"]["low"] <= 0.75 <= report["values"]["dr"]["anytime"]["high"]
    assert {file.name for file in tmp_path.iterdir()} == {"log.jsonl", "policy.toml"}, "nothing is left behind"


def test_people_are_told_in_tables(cli: Run, asked: list[str]) -> None:
    told = cli(*asked, COLUMNS="120")
    assert told.returncode == DONE, told.stderr
    headings = ("Block by block:", "would differ, for example:", "300 only learnt from, 1200 valued in 10 blocks")
    columns = ("effective sample size", "the log itself", "snips", "switch-dr", "anytime", "cost_usd", "own:hour/day")
    assert [said for said in headings + columns if said not in told.stdout] == []


def test_what_the_log_cannot_tell_is_refused_with_the_states(cli: Run, tmp_path: Path) -> None:
    row = {"state": "night", "actions": ["a", "b"], "action": "a", "propensity": 1.0, "reward": 1.0}
    (tmp_path / "sure.jsonl").write_text((json.dumps(row) + "\n") * 100)
    told = cli("replay", "--log", "sure.jsonl", "--json")
    assert told.returncode == REFUSED
    assert "the log cannot tell what this policy is worth" in told.stderr
    report = json.loads(told.stdout)
    assert report["values"] == {}
    assert report["lacking"] == [
        {"state": "state/night", "decisions": 80, "actions": ["b"], "probability": report["lacking"][0]["probability"]}
    ]
    people = cli("replay", "--log", "sure.jsonl", COLUMNS="120")
    assert "refused: the policy takes actions that the log could not take" in people.stdout
    assert "States in which the policy takes what the log could not:" in people.stdout


def test_a_bad_row_ends_it_or_is_counted(cli: Run, asked: list[str], tmp_path: Path) -> None:
    with (tmp_path / "log.jsonl").open("a") as opened:
        opened.write('{"action": "slow", "actions": ["slow"], "propensity": 0, "reward": 1}\n')
    refused = cli(*asked, "--json")
    assert (refused.returncode, refused.stdout) == (REFUSED, "")
    assert "row 1501: propensity 0.0 is not in (0, 1]" in refused.stderr
    skipped = cli(*asked, "--json", "--skip-bad-rows")
    assert skipped.returncode == DONE
    assert json.loads(skipped.stdout)["cannot"][0].startswith("1 row(s) were left out: row 1501: ")


def test_an_interrupted_replay_names_its_file_and_goes_on(
    cli: Run, asked: list[str], tmp_path: Path, seed: int
) -> None:
    """Interrupted once the first block is on disk."""
    write_log(tmp_path / "log.jsonl", seed, 4000)
    whole = cli(*asked, "--json")
    command = [sys.executable, "-m", "controlplane", *asked, "--json"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(tmp_path / "data"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # who runs the tests may have it ignored
    )
    while not (kept := list(tmp_path.glob("pointsman-replay-*.part"))):
        assert running.poll() is None, "it was over before it could be interrupted"
    running.send_signal(signal.SIGINT)
    said, complained = running.communicate()
    assert (running.returncode, said) == (INTERRUPTED, "")
    assert f"finished blocks are kept in {kept[0].name}" in complained.replace("\n", " ")
    again = cli(*asked, "--json")
    assert (again.returncode, again.stdout) == (DONE, whole.stdout)
    assert list(tmp_path.glob("*.part")) == []


def test_a_grid_of_weights_is_told_and_drawn(cli: Run, asked: list[str], tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"success": row["reward"] == 1.0, "terms": {**row["terms"], "success": row["reward"]}}
        del row["reward"]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "grid.toml").write_text("[weights]\nsuccess = [0.0, 1.0]\ncost = [0.1, 1.0]\n")
    told = cli("replay", "--log", "log.jsonl", "--grid", "grid.toml", "--svg", "front.svg", "--json")
    assert told.returncode == DONE, told.stderr
    found = json.loads(told.stdout)
    assert (found["objectives"], len(found["points"])) == (["success", "cost_usd"], 4)
    assert any(point["on_front"] and point["reported"] for point in found["points"])
    assert (tmp_path / "front.svg").read_text().count("<circle") == 4
    people = cli("replay", "--log", "log.jsonl", "--grid", "grid.toml", "--svg", "none/front.svg", COLUMNS="120")
    assert "4 policies, compared on 600 decisions, reported on 600 later ones" in people.stdout
    assert (people.returncode, "none/front.svg cannot be written" in people.stderr) == (REFUSED, True)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--log", "log.jsonl", "--svg", "front.svg"), "name one with --grid"),
        (("--log", "log.jsonl", "--decisions", "5"), "the file of --log is replayed whole"),
        (("--point", "route", "--from", "50", "--to", "10"), "no event lies from 50 to 10"),
    ],
)
def test_what_would_be_passed_over_is_refused(cli: Run, asked: tuple[str, ...], said: str) -> None:
    refused = cli("replay", *asked)
    assert (refused.returncode, refused.stdout) == (REFUSED, "")
    assert said in refused.stderr


def test_the_journal_is_replayed_beside_its_server(start: Any, cli: Run) -> None:
    server = start(POINTSMAN_EPSILON="1.0", POINTSMAN_SEED="3")
    candidates = [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}]
    for _ in range(60):
        decided = server.post("/v1/decisions", {"candidates": candidates})
        outcome = {"latency_ms": 10.0 if decided["action"] == "a/1" else 390.0, "cost": 0.1}
        server.post("/v1/feedback", {"trace_id": decided["trace_id"], "outcome": outcome})
    before = server.get("/status")["journal"]["last_seq"]
    told = cli("replay", "--point", "route", "--json")
    report = json.loads(told.stdout)
    assert report["decisions"] == 60
    assert report["values"] or report["refused"]
    assert set(report["beside"]) == {"cost_usd", "latency_ms"}
    assert server.get("/status")["journal"]["last_seq"] == before, "nothing was written"
    assert json.loads(cli("replay", "--point", "route", "--decisions", "55", "--json").stdout)["decisions"] == 55
    few = cli("replay", "--point", "route", "--from", str(before), "--json")
    assert "a replay needs 50" in few.stderr


def test_what_is_missing_is_asked_for(cli: Run, start: Any) -> None:
    assert "there is no journal" in cli("replay", "--point", "route").stderr
    assert "--point gate, route or capture" in cli("replay").stderr
    assert "cannot be read" in cli("replay", "--log", "none.csv").stderr
    start()
    unknown = cli("replay", "--point", "nowhere")
    assert (unknown.returncode, "there is no point 'nowhere'" in unknown.stderr) == (REFUSED, True)
