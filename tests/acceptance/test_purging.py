"""The server dies in the middle of a purge by key: what was deleted is off the disk, the rest goes when asked again."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.hygiene import PAGE

from ..integration.conftest import Running, chosen
from .crowd import verified
from .places import cases

Start = Callable[..., Any]
Until = Callable[..., Any]
REST = 5


@cases(["purge.page"])
def test_a_purge_by_key_goes_on_where_its_server_died(
    start: Start, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    key = _captured(tmp_path / "data", PAGE + REST)
    asked = {"key_id": key}
    doomed = start(POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    until(lambda: doomed.client.get("/readyz").status_code == 200)
    assert doomed.post("/v1/admin/purge", {**asked, "dry_run": True})["episodes"] == PAGE + REST
    with pytest.raises(httpx.TransportError):
        doomed.client.post("/v1/admin/purge", json=asked)
    assert doomed.wait() == -signal.SIGKILL
    server = start()
    until(lambda: server.client.get("/readyz").status_code == 200)
    assert [server.post("/v1/admin/purge", asked)["episodes"] for _ in range(2)] == [REST, 0]
    assert server.end() == 0
    assert all(b"zzcanary" not in file.read_bytes() for file in (tmp_path / "data").glob("journal.db*"))
    verified(tmp_path / "data")


def _captured(folder: Path, episodes: int) -> str:
    """So many failures, captured with one key; its id."""
    with Running(chosen(folder, insecure_local=False)) as server:
        first = server.service.first_keys
        assert first is not None
        for number in range(episodes):
            body = {"goal": f"zzcanary {number}", "resolution": f"do {number}"}
            answer = server.client.post("/v1/capture", json=body, headers={"X-API-Key": first.tenant})
            assert answer.status_code == 201, answer.text
        [key] = server.service.registry.of("default")
        return key.key_id
