"""Alarms of real processes: killed between delivery and record, and on a disk that is full."""

import json
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from controlplane.alarms import SIGNATURE, sign

from .crowd import Crowd, verified
from .disks import Disk, small_disk
from .places import cases

Start = Callable[..., Any]
Cli = Callable[..., subprocess.CompletedProcess[str]]
Until = Callable[[Callable[[], Any]], Any]
SELDOM = {"POINTSMAN_RECOVERY_INTERVAL_S": "3600"}


class Receiver:
    """Takes every alarm."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.signed: list[tuple[bytes, str]] = []
        heard, signed = self.heard, self.signed

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append(json.loads(body))
                signed.append((body, self.headers[SIGNATURE]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/alarms"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@cases(["outbox.done"])
def test_a_server_killed_between_delivery_and_record_delivers_again_under_the_same_id(
    start: Start, receiver: Receiver, until: Until, cli: Cli, tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    crowd = Crowd(seed + repeat)
    refused = cli("alarm-key")
    assert (refused.returncode, "start the server once" in refused.stderr) == (1, True)
    first = start()
    crowd.visit(first.url, 40)
    assert first.end() == 0
    [file] = (tmp_path / "data" / "recovery").iterdir()
    file.write_bytes(file.read_bytes()[:-1])

    doomed = start(POINTSMAN_ALARM_URL=receiver.url, POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    crowd.visit(doomed.url)
    assert doomed.wait() == -signal.SIGKILL
    [once] = receiver.heard
    assert (once["alarm"], once["details"]) == ("recovery_file_damaged", {"file": file.name})

    again = start(POINTSMAN_ALARM_URL=receiver.url)
    until(lambda: len(receiver.heard) == 2)
    until(lambda: again.get("/status")["outbox"]["open"] == 0)
    assert again.end() == 0
    assert receiver.heard == [once, once]
    key = bytes.fromhex(json.loads(cli("alarm-key", "--json").stdout)["alarm_key"])
    for body, header in receiver.signed:
        assert header == sign(key, int(header[2:].partition(",")[0]), body)
    crowd.check(tmp_path / "data")
    verified(tmp_path / "data")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = small_disk(tmp_path / "data", "8m")
    print(f"the disk: {made.name}")
    yield made
    made.close()


@pytest.mark.nightly
def test_an_alarm_of_a_full_disk_reaches_the_receiver_while_it_is_full(
    start: Start, disk: Disk, receiver: Receiver, until: Until, seed: int
) -> None:
    crowd = Crowd(seed)
    server = start(disk.within, POINTSMAN_ALARM_URL=receiver.url, **SELDOM)
    crowd.visit(server.url, 60)
    disk.fill(server.process.pid)
    crowd.visit(server.url, refusals=30)
    until(lambda: receiver.heard)
    assert receiver.heard[0]["alarm"] == "journal_in_trouble"
    status = server.get("/status")
    assert status["journal"]["trouble"], "the disk is still full"
    assert status["outbox"]["unwritten"] == 3

    disk.free(server.process.pid)
    until(lambda: server.get("/status")["outbox"]["unwritten"] == 0)
    until(lambda: receiver.heard[-1]["alarm"] == "journal_healed")
    assert [said["alarm"] for said in receiver.heard] == ["journal_in_trouble", "journal_healed"]
    until(lambda: server.get("/status")["outbox"]["open"] == 0)
    assert server.end() == 0
