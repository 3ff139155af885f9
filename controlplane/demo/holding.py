"""What others hold while a task lasts: ports, services behind them, locks on databases. All of it is real."""

import socket
import socketserver
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

from .families import Lock, Port

LOOPBACK = "127.0.0.1"
POLL_S = 0.01  # a service notices within this time that its task is over


@contextmanager
def held_port(port: Port) -> Iterator[int]:
    """A port nobody else gets meanwhile; its number."""
    if port.answer is None:
        with _reserved() as number:
            yield number
    else:
        with _answered(port.answer) as number:
            yield number


@contextmanager
def _reserved() -> Iterator[int]:
    """Bound and not listened on: a connection is refused, and a server of the task's own may listen on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        yield holder.getsockname()[1]


class _Service(socketserver.TCPServer):
    """Says one thing to everybody who connects."""

    allow_reuse_address = True

    def __init__(self, answer: str) -> None:
        self.answer = answer.encode()
        super().__init__((LOOPBACK, 0), _Saying)


class _Saying(socketserver.StreamRequestHandler):
    server: _Service

    def handle(self) -> None:
        self.wfile.write(self.server.answer)


@contextmanager
def _answered(answer: str) -> Iterator[int]:
    with _Service(answer) as service:
        serving = Thread(target=service.serve_forever, args=(POLL_S,), name="demo service", daemon=True)
        serving.start()
        try:
            yield service.server_address[1]
        finally:
            service.shutdown()
            serving.join()


@contextmanager
def held_lock(lock: Lock, root: Path) -> Iterator[None]:
    """A transaction that is taken back in the end.

    POSIX locks end when this process closes the file anywhere, so nobody in it may read the database meanwhile.
    """
    with closing(sqlite3.connect(root / lock.database, isolation_level=None)) as connection:
        connection.execute(f"begin {lock.kind}")
        if lock.wrote:
            connection.execute(lock.wrote)
        yield
