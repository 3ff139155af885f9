"""HTTP to the server over one kept connection: the few lines an event needs, without the weight of a library.

Nothing here has a time limit of its own: one alarm ends the whole event (`budget.py`).
"""

import json
import socket

from .event import Json, text

MAX_LINE, MAX_HEADERS, MAX_BODY = 8192, 100, 4 * 1024 * 1024


class Away(Exception):
    """Nobody answers."""


class Refused(Exception):
    """The server answered, but not with what was asked for."""


class Stranger(Exception):
    """What answers is no Pointsman."""


class Client:
    """Asks one server, one request after the other."""

    def __init__(self, host: str, port: int, key: str = "") -> None:
        self._host, self._port, self._key = host, port, key
        self._connection: socket.socket | None = None

    def get(self, path: str) -> Json:
        return self._ask("GET", path, b"")

    def post(self, path: str, body: Json) -> Json:
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes) -> Json:
        """One answer.

        Raises:
          Away: nobody is there, or the connection broke.
          Refused: the answer is a problem document.
          Stranger: it is no answer of ours.
        """
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nX-API-Key: {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode("utf-8", "replace")
        try:
            status, said = self._exchange(head + body)
        except OSError as error:
            why = error.strerror or error
            raise Away(f"no server answers at {self._host}:{self._port} ({why}); going on without") from error
        except ValueError as error:
            raise Stranger(f"what answers at {self._host}:{self._port} is no Pointsman ({error})") from error
        if status >= 400:
            raise Refused(f"{method} {path} was refused with {status} {text(said, 'code')}: {text(said, 'detail')}")
        return said

    def _exchange(self, request: bytes) -> tuple[int, Json]:
        if self._connection is None:
            self._connection = socket.create_connection((self._host, self._port))
            self._answers = self._connection.makefile("rb")
        self._connection.sendall(request)
        return self._read()

    def _read(self) -> tuple[int, Json]:
        version, _, rest = self._line().partition(" ")
        if not version.startswith("HTTP/1."):
            raise ValueError("it does not speak HTTP")
        length = 0
        for _ in range(MAX_HEADERS):
            name, _, value = self._line().partition(":")
            if not name:
                break
            if name.lower() == "content-length":
                length = int(value)
        return int(rest[:3]), _document(self._answers.read(min(length, MAX_BODY)))

    def _line(self) -> str:
        line = self._answers.readline(MAX_LINE)
        if not line:
            raise ConnectionResetError("the server closed the connection")
        return line.decode("latin-1").rstrip("\r\n")


def _document(body: bytes) -> Json:
    """Raises ValueError: it is no JSON object, as all answers of ours are."""
    said = json.loads(body) if body[:1] == b"{" else None
    if not isinstance(said, dict):
        raise ValueError("its answer is no JSON object")
    return said
