"""A server that is killed around a session: what was acknowledged is there once, and outcomes count once."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Process, Start
from .crowd import verified
from .places import cases

Until = Callable[[Callable[[], Any]], Any]
Cli = Callable[..., Any]
PATCH = {"documents": [{"key": "p", "kind": "patch", "text": "retry the flaky upload"}], "origin": "bots"}
SESSIONS = 150  # of which enough are held out, however the draw falls


def ready(server: Process, until: Until) -> Process:
    until(lambda: server.client.get("/readyz").status_code == 200)
    return server


def session(server: Process) -> Any:
    return server.post("/v1/patches/search", {"query": "retry the flaky upload"})


@cases(["query.appended", "session.appended"])
def test_an_outcome_that_is_sent_again_after_a_crash_counts_once(
    start: Start, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = ready(start(POINTSMAN_FAILPOINTS=f"{name}:kill@2", POINTSMAN_WITHHELD_SHARE="0"), until)
    doomed.post("/v1/documents", PATCH)
    first = session(doomed)["session_id"]
    doomed.post(f"/v1/sessions/{first}/outcome", {"success": True})
    with pytest.raises(httpx.TransportError):
        doomed.post(f"/v1/sessions/{session(doomed)['session_id']}/outcome", {"success": False})
    assert doomed.wait() == -signal.SIGKILL
    again = ready(start(POINTSMAN_WITHHELD_SHARE="0"), until)
    assert again.post(f"/v1/sessions/{first}/outcome", {"success": True})["duplicate"]
    told = again.get("/v1/sessions")
    assert told["outcomes"] == (1 if name == "query.appended" else 2)
    assert again.end() == 0
    verified(tmp_path / "data")


@cases(["ranker.appended"])
def test_weights_that_were_committed_are_in_force_after_a_crash(
    start: Start, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    """What reads most like the query comes from an origin whose patches fail."""
    asked_only = {"POINTSMAN_RANKER_RISK_SWING": "0", "POINTSMAN_RANKER_RETURN_SWING": "0"}
    doomed = ready(start(POINTSMAN_FAILPOINTS=f"{name}:kill@1", POINTSMAN_WITHHELD_SHARE="0", **asked_only), until)
    for origin, text in {"good": "retry the flaky upload after a pause", "bad": "retry the flaky upload"}.items():
        document = {"key": origin, "kind": "patch", "text": text}
        doomed.post("/v1/documents", {"documents": [document], "origin": origin})
    for n in range(SESSIONS):
        found = doomed.post("/v1/patches/search", {"query": "retry the flaky upload"})
        of, success = {one["key"]: one["memory_id"] for one in found["results"]}, n % 2 == 0
        told = {"success": success, "used": [of["good" if success else "bad"]]}
        doomed.post(f"/v1/sessions/{found['session_id']}/outcome", told)
    with pytest.raises(httpx.TransportError):
        doomed.post("/v1/ranker/reload", None)
    assert doomed.wait() == -signal.SIGKILL
    again = ready(start(POINTSMAN_WITHHELD_SHARE="0"), until)
    ranker = again.get("/v1/sessions")["ranker"]
    assert ranker["version"] > 0
    assert ranker["evaluation"]["low"] > 0
    assert again.end() == 0
    verified(tmp_path / "data")


def test_sessions_are_shown_by_what_their_origins_are_and_written_to_a_file(
    start: Start, until: Until, cli: Cli, tmp_path: Path
) -> None:
    server = ready(start(POINTSMAN_WITHHELD_SHARE="0"), until)
    server.post("/v1/documents", PATCH)
    server.post("/v1/origins", {"origin": "bots", "what": "bots"})
    server.post(f"/v1/sessions/{session(server)['session_id']}/outcome", {"success": True, "contribution": 0.5})
    shown = cli("sessions", "--url", server.url)
    assert (shown.returncode, "bots" in shown.stdout) == (0, True)
    file = tmp_path / "origins.json"
    told = cli("sessions", "--by-type", "--json", "--file", str(file), "--url", server.url)
    assert told.returncode == 0
    assert '"bots":{"bots":{' in file.read_text().replace(" ", "").replace("\n", "")
    nowhere = cli("sessions", "--file", str(tmp_path / "none" / "origins.json"), "--url", server.url)
    assert (nowhere.returncode, nowhere.stderr.splitlines()[-1].endswith("No such file or directory")) == (1, True)
    assert "Traceback" not in nowhere.stderr
    assert server.end() == 0
