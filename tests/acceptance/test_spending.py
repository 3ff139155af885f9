"""A process that spends is killed: no less is spent than was billed, no limit is exceeded. And what operators see."""

import asyncio
import csv
import io
import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.money_events import Settled, Spender
from controlplane.llm.prices import Charge
from controlplane.purse import Purse
from controlplane.service import Service

from ..integration.conftest import Running, chosen
from .conftest import environment
from .crowd import verified
from .places import cases
from .spender import LIMIT_USD

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
SPENDER = Path(__file__).with_name("spender.py")
SPENDING = {"budget.reserved": 40, "budget.settled": 40}  # at which pass it dies
Told = dict[str, dict[str, int]]


def told(lines: list[str]) -> Told:
    """By word and reservation, how much; a line that the kill cut off was not told."""
    found: Told = {word: {} for word in ("held", "released", "billed", "settled")}
    for line in lines:
        if line.endswith("\n"):
            word, name, nano_usd = line.split()
            found[word][name] = int(nano_usd)
    return found


def spend(folder: Path, seed: int, **variables: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(SPENDER), str(folder), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(folder, **variables))


async def _looked_at(folder: Path, said: Told) -> None:
    service = await Service.open(chosen(folder))
    try:
        await service.budgets.follow_evidence()
        await service.learner.passed(service.journal.last_seq)
        ledger, charged = service.learner.state.ledger, dict[str, int]()
        for recorded in await service.journal.read(0, 10**6):
            if isinstance(recorded.event, Settled):
                assert recorded.event.reservation_id not in charged, "each end is there once"
                charged[recorded.event.reservation_id] = recorded.event.nano_usd
        slot = ledger.slot(("tenant", "default", ""), "month", ledger.key("month", service.clock.now()))
        assert (ledger.held, slot.reserved) == ({}, 0)
        assert slot.spent == sum(charged.values()) <= LIMIT_USD * 1e9
        assert {name: charged[name] for name in said["settled"]} == said["settled"]
        assert {name: cost for name, cost in said["billed"].items() if charged[name] < cost} == {}
        assert said["released"].keys() & charged.keys() == set()
        open_ends = said["held"].keys() - said["settled"].keys() - said["released"].keys()
        for name in open_ends & charged.keys():  # its end may have been committed, and not told of
            assert charged[name] in (said["billed"].get(name), said["held"][name])
        whole = {of.reservation_id: of.charged_usd for of in Purse(service).describe("default", "month").unreconciled}
        assert set(whole) >= {name for name in open_ends & charged.keys() if charged[name] != said["billed"].get(name)}
    finally:
        await service.close()


@cases(SPENDING)
def test_a_process_killed_between_reserving_and_settling_has_charged_what_was_billed(
    tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    failpoint = {"POINTSMAN_FAILPOINTS": f"{name}:kill@{SPENDING[name] + repeat}"}
    with spend(tmp_path / "data", seed + repeat, **failpoint) as doomed:
        assert doomed.stdout is not None
        said = told(doomed.stdout.readlines())
    assert doomed.returncode == -signal.SIGKILL
    assert said["held"].keys() - said["settled"].keys() - said["released"].keys(), "something was under way"
    asyncio.run(_looked_at(tmp_path / "data", said))
    verified(tmp_path / "data")


@pytest.mark.parametrize("kills", [2, pytest.param(40, marks=pytest.mark.nightly)])
def test_a_process_killed_at_any_moment_has_charged_what_was_billed(tmp_path: Path, seed: int, kills: int) -> None:
    rng, everything = random.Random(seed), dict[str, dict[str, int]](held={}, released={}, billed={}, settled={})
    for number in range(kills):
        with spend(tmp_path / "data", seed + number) as doomed:
            assert doomed.stdout is not None
            lines = [doomed.stdout.readline() for _ in range(rng.randrange(20, 150))]
            doomed.kill()
            lines += doomed.stdout.readlines()
        for word, of in told([line for line in lines if line]).items():
            everything[word] |= of
        asyncio.run(_looked_at(tmp_path / "data", everything))
    verified(tmp_path / "data")


def test_operators_limit_see_export_and_reconcile_what_is_spent(cli: Cli, tmp_path: Path) -> None:
    spender = Spender(model="small", tier="cheap", purpose="chat", agent="=ci", user="ann")
    with Running(chosen(tmp_path / "data")) as server:

        def budget(*arguments: str) -> "subprocess.CompletedProcess[str]":
            return cli("budget", *arguments, "--url", server.url, COLUMNS="250")

        def asked(*arguments: str) -> Any:
            done = budget(*arguments, "--json")
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        async def call(nano_usd: int) -> str:
            budgets = server.service.budgets
            sure, lost = [await budgets.reserve("default", spender, nano_usd) for _ in range(2)]
            await budgets.settle(sure, Charge(nano_usd, "usage"))
            await budgets.lose(lost)
            return lost.reservation_id

        limited = asked("set", "tenant", "1.5", "--tenant", "default", "--period", "day", "--reason", "enough")
        assert [of["limit_usd"] for of in limited["limits"]] == [1.5]
        lost = server.run(call(250_000_000))
        server.until(lambda: asked("show")["unreconciled"])
        shown = budget("show", "--tenant", "default", "--period", "day").stdout
        for part in ("0.5 USD spent in 2 call(s)", "tenant", "1.5", "always_premium", lost, "reconcile 1 call(s)"):
            assert part in shown
        assert budget("reconcile", lost, "0.1", "--reason", "the bill").stdout == f"{lost} cost 0.1 USD\n"
        rows = list(csv.DictReader(io.StringIO(budget("export", "--csv").stdout)))
        assert {(row["by"], row["name"], row["spent_usd"]) for row in rows} == {
            ("model", "small", "0.35"),
            ("agent", "'=ci", "0.35"),
            ("user", "ann", "0.35"),
            ("tier", "cheap", "0.35"),
            ("purpose", "chat", "0.35"),
        }
        assert asked("export")["spent_usd"] == 0.35
        freed = asked("set", "tenant", "--none", "--tenant", "default", "--period", "day", "--reason", "free")
        assert freed["limits"] == []
        for wrong in (
            ("set", "tenant", "--tenant", "default"),
            ("set", "global", "1", "--none"),
            ("set", "agent", "1"),
        ):
            refused = budget(*wrong, "--period", "day", "--reason", "x")
            assert (refused.returncode, refused.stdout) == (1, "")
        refused = budget("export", "--csv", "--json")
        assert (refused.returncode, "give --csv or --json" in refused.stderr) == (1, True)
