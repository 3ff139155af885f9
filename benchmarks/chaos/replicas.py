"""Replicas as processes, and what is done to them."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import msgspec

from ..services import PATIENCE_S, Postgres, free_port

UP_S, PAUSED_S = (1.0, 3.0), (1.0, 8.0)  # how long a killed one stays away, and a paused one stands still [s]
BETWEEN_S = (4.0, 10.0)  # two faults
LOOK_S = 0.02


class Replica:
    """One server process on its own port and folder."""

    def __init__(self, folder: Path, number: int, database_url: str) -> None:
        self.number, self.port = number, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.steady_since = float("inf")  # neither paused nor just started
        self._folder = folder / f"replica-{number}"
        self._folder.mkdir()
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
        self._environ |= {
            "POINTSMAN_DATA_DIR": str(self._folder / "data"),
            "POINTSMAN_DATABASE_URL": database_url,
            "POINTSMAN_PORT": str(self.port),
            "POINTSMAN_INSECURE_LOCAL": "true",
            "POINTSMAN_EMBEDDER": "hashing",
            "POINTSMAN_RECOVERY_INTERVAL_S": "5",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "controlplane", "serve"]
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        self.steady_since = float("inf")
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End it in order; its log stays."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            self._process.wait(PATIENCE_S)

    async def up(self) -> None:
        """Wait until it can be connected to."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(LOOK_S)
        raise RuntimeError(f"replica {self.number} did not come up; see {self._folder / 'server.log'}")

    def verify(self) -> str:
        """What `pointsman rebuild --verify` says of what was published; with the replica stopped."""
        command = [sys.executable, "-m", "controlplane", "rebuild", "--verify", "--json"]
        printed = subprocess.run(command, env=self._environ, capture_output=True, check=True).stdout
        verdict: str = msgspec.json.decode(printed)["verdict"]
        return verdict


class Faults:
    """Kills and pauses one replica after another, the holder of the lease as often as all others together."""

    def __init__(self, replicas: list[Replica], server: Postgres, database: str, rng: random.Random) -> None:
        self.killed = self.paused = 0
        self.takeovers_s: list[float] = []
        self._replicas, self._server, self._database, self._rng = replicas, server, database, rng

    async def run(self, until: float) -> None:
        """Until that moment of the monotonic clock; then everybody is up."""
        connection = await asyncpg.connect(self._server.url(self._database, "postgres"))
        while time.monotonic() < until - max(PAUSED_S):
            await asyncio.sleep(self._rng.uniform(*BETWEEN_S))
            leading = await self._leading(connection)
            hit = leading if leading is not None and self._rng.random() < 0.5 else self._rng.choice(self._replicas)
            watching = asyncio.create_task(self._watch(connection, time.monotonic())) if hit is leading else None
            await (self._kill(hit) if self._rng.random() < 0.5 else self._pause(hit))
            if watching is not None:
                await watching
        await connection.close()

    async def _leading(self, connection: "asyncpg.Connection[asyncpg.Record]") -> Replica | None:
        port = await connection.fetchval("SELECT holder FROM lease WHERE ends_at > clock_timestamp()")
        return next((replica for replica in self._replicas if str(replica.port) == str(port).rpartition(":")[2]), None)

    async def _watch(self, connection: "asyncpg.Connection[asyncpg.Record]", since: float) -> None:
        """How long it takes until another holds the lease; one that was paused shortly may keep it."""
        token = await connection.fetchval("SELECT token FROM lease")
        while time.monotonic() - since < 2 * max(PAUSED_S):
            if await connection.fetchval("SELECT token FROM lease") != token:
                self.takeovers_s.append(time.monotonic() - since)
                return
            await asyncio.sleep(LOOK_S)

    async def _kill(self, hit: Replica) -> None:
        self.killed += 1
        await asyncio.to_thread(hit.kill)
        await asyncio.sleep(self._rng.uniform(*UP_S))
        hit.start()
        await hit.up()
        hit.steady_since = time.monotonic()

    async def _pause(self, hit: Replica) -> None:
        self.paused += 1
        hit.steady_since = float("inf")
        hit.signal(signal.SIGSTOP)
        await asyncio.sleep(self._rng.uniform(*PAUSED_S))
        hit.signal(signal.SIGCONT)
        hit.steady_since = time.monotonic()
