"""A data folder belongs to one server; another is told so before it announces anything."""

import signal
import socket
from typing import Any

import pytest

Start = Any
Cli = Any


def test_a_second_server_on_the_same_folder_is_refused_with_what_to_do(start: Start, cli: Cli) -> None:
    first = start()
    trace_id = first.post("/v1/decisions", {"planned_action": "ls"})["trace_id"]
    second = cli("serve", "--port", "0")
    assert second.returncode == 1
    assert second.stdout == "", "no address is announced that nobody will answer at"
    assert f"another Pointsman uses the data folder {first.folder}" in second.stderr
    assert "stop it or set POINTSMAN_DATA_DIR" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.get(f"/v1/decisions/{trace_id}")["trace_id"] == trace_id, "the first one goes on"


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_folder_is_free_again_when_its_server_ended(start: Start, end: signal.Signals) -> None:
    first = start()
    trace_id = first.post("/v1/decisions", {"planned_action": "ls"})["trace_id"]
    first.end(end)
    assert start().get(f"/v1/decisions/{trace_id}")["trace_id"] == trace_id


def test_a_port_that_is_taken_is_refused_with_what_to_do(cli: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = cli("serve", "--port", port)
    assert refused.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in refused.stderr
    assert "set POINTSMAN_PORT" in refused.stderr


def test_only_loopback_is_listened_on_without_keys(cli: Cli) -> None:
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0", "--insecure-local")
    assert refused.returncode == 1
    assert "only loopback" in refused.stderr
