"""A replica dies at every named place while another one serves: what was acknowledged is in the one log, once."""

import json
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from benchmarks.services import Postgres

from .places import cases

Start = Callable[..., Any]
Cli = Callable[..., Any]
# At which pass a replica dies; the pass of a place that only who leads comes to is its first.
REPLICATED = {
    "shared.append": 30,
    "shared.committed": 30,
    "shared.records": 1,
    "shared.migrate": 1,
    "shared.erase": 1,
    "replica.leading": 1,
    "replica.published": 1,
}
DYING = [name for name in REPLICATED if name not in ("shared.migrate", "shared.erase")]
BY_DAY = ("shared.committed", "replica.leading")
CASES = [name if name in BY_DAY else pytest.param(name, marks=pytest.mark.nightly) for name in DYING]
OFTEN = {"POINTSMAN_RECOVERY_INTERVAL_S": "0.2"}
PATIENCE_S = 60.0


class Client:
    """Sends each call under a key to the replicas in turn until one answers; keeps what was acknowledged."""

    def __init__(self, *urls: str) -> None:
        self.decided: list[str] = []
        self.reported: list[str] = []
        self._urls = urls
        self._turn = 0

    def work(self, steps: int) -> None:
        """Decisions, each reported at the next replica."""
        for n in range(steps):
            made = self._sent("/v1/decisions", {"planned_action": f"pytest part_{n % 5}", "task_id": uuid.uuid4().hex})
            self.decided.append(made["trace_id"])
            outcome = {"success": n % 3 > 0, "terminal": True}
            self._sent("/v1/feedback", {"trace_id": made["trace_id"], "outcome": outcome})
            self.reported.append(made["trace_id"])

    def _sent(self, path: str, body: dict[str, Any]) -> Any:
        key, deadline = {"Idempotency-Key": uuid.uuid4().hex}, time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._turn += 1
            url = self._urls[self._turn % len(self._urls)]
            try:
                answer = httpx.post(url + path, json=body, headers=key, timeout=5.0)
            except httpx.TransportError:
                continue
            if answer.status_code == 200:
                return answer.json()
            assert answer.status_code in (409, 503), answer.text
        raise AssertionError("no replica answered")


def kept(postgres: Postgres, database_url: str, kind: str) -> Counter[str]:
    """How often the log has events of a kind about each trace."""
    asked = f"SELECT convert_from(ref, 'UTF8') FROM events WHERE kind = '{kind}'"
    return Counter(postgres.ask(asked, database_url.rpartition("/")[2]).split())


@pytest.mark.parametrize("name", CASES)
def test_what_a_dying_replica_acknowledged_is_kept_once_and_another_leads(
    start: Start, cli: Cli, postgres: Postgres, database_url: str, name: str, until: Callable[..., Any]
) -> None:
    shared = {"POINTSMAN_DATABASE_URL": database_url, **OFTEN}
    doomed = start(folder="doomed", **shared, POINTSMAN_FAILPOINTS=f"{name}:kill@{REPLICATED[name]}")
    other = start(folder="other", **shared)
    client = Client(doomed.url, other.url)
    client.work(40)
    assert doomed.wait() == -signal.SIGKILL
    client.work(15)
    assert until(lambda: other.get("/status")["journal"]["leads"])
    assert kept(postgres, database_url, "decision").keys() >= set(client.decided)
    reports = kept(postgres, database_url, "feedback")
    assert reports.keys() >= set(client.reported)
    assert set(reports.values()) == {1}
    assert other.end() == 0
    verified = cli("rebuild", "--verify", **shared)
    assert verified.returncode == 0, verified.stderr
    assert "bit-identical" in verified.stdout
    exported = cli("export", "out", "--json", **shared)
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["decisions"] == len(client.decided)


def test_a_replica_that_dies_while_it_migrates_leaves_that_to_the_next(
    start: Start, cli: Cli, database_url: str
) -> None:
    shared = {"POINTSMAN_DATABASE_URL": database_url}
    doomed = cli("serve", "--port", "0", "--insecure-local", **shared, POINTSMAN_FAILPOINTS="shared.migrate:kill@1")
    assert doomed.returncode == -signal.SIGKILL
    Client(start(folder="next", **shared).url).work(2)


@cases([], nightly=["shared.erase"])
def test_a_purge_whose_replica_died_is_known_to_the_others_and_they_take_it_off_the_disk(
    start: Start, postgres: Postgres, database_url: str, until: Callable[..., Any], name: str, repeat: int
) -> None:
    shared, canary = {"POINTSMAN_DATABASE_URL": database_url}, uuid.uuid4().hex
    doomed = start(folder="doomed", **shared, POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    other = start(folder="other", **shared)
    until(lambda: all(replica.client.get("/readyz").status_code == 200 for replica in (doomed, other)))
    episode = doomed.post("/v1/capture", {"goal": canary}, 201)["episode_id"]
    with pytest.raises(httpx.TransportError):
        doomed.client.delete(f"/v1/episodes/{episode}")
    assert doomed.wait() == -signal.SIGKILL
    until(lambda: other.client.get(f"/v1/episodes/{episode}").status_code == 404)
    holding = f"SELECT count(*) FROM events WHERE position(convert_to('{canary}', 'UTF8') IN payload) > 0"
    until(lambda: postgres.ask(holding, database_url.rpartition("/")[2]) == "0")
