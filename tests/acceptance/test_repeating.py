"""The server dies between a commit and its answer: who asks again under the same key is told what came of it."""

import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .crowd import verified

Start = Callable[..., Any]
Json = dict[str, Any]
KEY = {"Idempotency-Key": "one and the same".replace(" ", "-")}
FAILURE = {"goal": "ship", "planned_action": "make ship", "error_trace": "Error: x", "resolution": "make clean"}


def report(server: Any) -> tuple[str, Json]:
    decided = server.post("/v1/decisions", {"candidates": [{"provider": "a", "sku": "1"}]})
    return "/v1/feedback", {"trace_id": decided["trace_id"], "outcome": {"latency_ms": 20}}


def validation(server: Any) -> tuple[str, Json]:
    episode_id = server.post("/v1/capture", FAILURE, 201)["episode_id"]
    decided = server.post("/v1/decisions", {"goal": "ship", "planned_action": "make ship"})
    return "/v1/validate_fix", {"episode_id": episode_id, "trace_id": decided["trace_id"], "outcome": "success"}


def capture(server: Any) -> tuple[str, Json]:
    return "/v1/capture", FAILURE


LOST = {
    "feedback.appended": (report, "feedback", {"updated": True, "duplicate": False, "reward": 0.36}),
    "validation.appended": (validation, "validation", {"updated": True, "reward": 0.98, "validations": 1}),
    "capture.appended": (capture, "capture", {"duplicate_of": None}),
}


@pytest.mark.parametrize(
    "place",
    [
        "feedback.appended",
        *(pytest.param(f"{kind}.appended", marks=pytest.mark.nightly) for kind in ("validation", "capture")),
    ],
)
def test_an_answer_that_a_crash_swallowed_is_given_when_asked_again(
    start: Start, tmp_path: Path, until: Any, place: str
) -> None:
    make, effect, expected = LOST[place]
    nth = 2 if place == "capture.appended" else 1
    doomed = start(POINTSMAN_FAILPOINTS=f"{place}:kill@{nth}", POINTSMAN_RECOVERY_INTERVAL_S="3600")
    until(lambda: doomed.client.get("/readyz").status_code == 200)
    if place == "capture.appended":
        doomed.post("/v1/capture", {"goal": "another"}, 201)
    path, body = make(doomed)
    with pytest.raises(httpx.TransportError):
        doomed.client.post(path, json=body, headers=KEY)
    assert doomed.wait() == -signal.SIGKILL

    again = start()
    until(lambda: again.client.get("/readyz").status_code == 200)
    told = [again.client.post(path, json=body, headers=KEY).json() for _ in range(3)]
    assert told[0] == told[1] == told[2]
    assert {name: told[0][name] for name in expected} == expected
    assert again.end() == 0
    with sqlite3.connect(tmp_path / "data" / "journal.db") as database:
        found = Counter(database.execute("SELECT kind, ref FROM events WHERE kind IN (?, 'receipt')", (effect,)))
        numbers = [seq for (seq,) in database.execute("SELECT seq FROM events WHERE kind = ?", (effect,))]
    database.close()
    assert found[("receipt", f"{path} {KEY['Idempotency-Key']}")] == 1
    assert len(numbers) == nth, "once, and what went before it"
    if effect == "capture":
        assert told[0]["episode_id"] == numbers[-1]
    verified(tmp_path / "data")
