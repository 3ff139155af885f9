"""A server dies while it writes vectors or goes over to new ones: those of what is remembered are there."""

import contextlib
import signal
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from benchmarks.services import Postgres

from .places import cases

Start = Callable[..., Any]
Cli = Callable[..., Any]
Until = Callable[[Callable[[], Any]], Any]
VECTORS = ("vectors.write", "vectors.written", "vectors.filled")
BETWEEN_S = 0.02  # captures
SERVING = "SELECT max(number) FROM vector_generations WHERE serving_since IS NOT NULL"
HELD = f"""
    SELECT key FROM vectors JOIN vector_spaces ON number = space WHERE vector IS NOT NULL AND generation = ({SERVING})
"""


class Kept:
    """The settings that lead to a database of vectors, and what it holds."""

    def __init__(self, postgres: Postgres, database_url: str) -> None:
        self.settings = {"POINTSMAN_VECTORS": "pgvector", "POINTSMAN_VECTORS_URL": database_url}
        self._postgres, self._name = postgres, database_url.rpartition("/")[2]

    def serving(self) -> str:
        """The number of the generation that serves."""
        return self._postgres.ask(SERVING, self._name)

    def held(self) -> set[int]:
        """The ids of all vectors in it."""
        return set(map(int, self._postgres.ask(HELD, self._name).split()))


@pytest.fixture
def kept(postgres: Postgres, database_url: str) -> Kept:
    return Kept(postgres, database_url)


def captured(server: Any) -> int:
    """A failure like no other; its number."""
    body = {"goal": uuid.uuid4().hex, "planned_action": uuid.uuid4().hex, "error_trace": f"Error: {uuid.uuid4().hex}"}
    made = server.post("/v1/capture", body, 201)
    assert made["duplicate_of"] is None
    return int(made["episode_id"])


def remembered(server: Any, episode: int) -> bool:
    return bool(server.client.get(f"/v1/episodes/{episode}").status_code == 200)


@cases(VECTORS[:1], nightly=VECTORS[1:2])
def test_a_server_that_dies_while_it_writes_vectors_has_those_of_what_it_remembers(
    start: Start, until: Until, kept: Kept, name: str, repeat: int
) -> None:
    doomed = start(**kept.settings, POINTSMAN_FAILPOINTS=f"{name}:kill@{1 + repeat}")
    until(lambda: doomed.client.get("/readyz").status_code == 200)
    purged, episodes = captured(doomed), set[int]()
    assert doomed.client.delete(f"/v1/episodes/{purged}").status_code == 204
    with contextlib.suppress(httpx.TransportError):  # when it dies
        while True:
            episodes.add(captured(doomed))
            time.sleep(BETWEEN_S)
    assert doomed.wait() == -signal.SIGKILL
    again = start(**kept.settings)
    until(lambda: again.client.get("/readyz").status_code == 200 and kept.held() >= episodes)
    assert purged not in kept.held()
    assert all(remembered(again, episode) for episode in kept.held())


@pytest.mark.nightly
def test_a_server_that_dies_before_new_vectors_serve_lets_them_serve_after_its_next_start(
    start: Start, cli: Cli, until: Until, kept: Kept
) -> None:
    first = start(**kept.settings)
    until(lambda: first.client.get("/readyz").status_code == 200)
    episodes = {captured(first) for _ in range(5)}
    until(lambda: kept.serving() == "1" and kept.held() == episodes)
    assert first.end() == 0
    assert cli("rebuild", **kept.settings).returncode == 0
    doomed = start(**kept.settings, POINTSMAN_FAILPOINTS="vectors.filled:kill@1")
    assert doomed.wait() == -signal.SIGKILL
    assert (kept.serving(), kept.held()) == ("1", episodes), "the old ones serve"
    start(**kept.settings)
    until(lambda: kept.serving() == "2")
    assert kept.held() == episodes
