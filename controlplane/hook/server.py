"""Where the server is: what the environment says, else what `pointsman hook install` noted.

Never a file in the folder an agent works in: that may be a stranger's, and would say where commands are told to.
"""

import json
import os
from collections.abc import Mapping

from .event import Json
from .private_file import make_folder, replace
from .session import home

HOST, PORT = "127.0.0.1", 8080
LOOPBACK = (HOST, "::1", "localhost")
EVERYWHERE = {"0.0.0.0": HOST, "::": "::1"}  # where a server listens, and is then found


class Nowhere(Exception):
    """Nobody can be asked: what is said of the server does not lead to one."""


def server(environ: Mapping[str, str] = os.environ) -> tuple[str, int, str]:
    """(host, port, key): POINTSMAN_HOST, _PORT and _API_KEY, each else as it was noted.

    Raises:
      Nowhere: the port is no number, or the host is not this machine. Commands are told to no other.
    """
    path = noted_in(environ)
    noted = {"host": HOST, "port": PORT, "api_key": "", **_read(path)}
    host = environ.get("POINTSMAN_HOST") or str(noted["host"])
    host = EVERYWHERE.get(host, host)
    if host not in LOOPBACK:
        raise Nowhere(f"{host} is not this machine; commands are told to no other")
    chosen = environ.get("POINTSMAN_PORT", "")
    port = _number(chosen, "POINTSMAN_PORT") if chosen else _number(noted["port"], f"port in {path}")
    return host, port, environ.get("POINTSMAN_API_KEY") or str(noted["api_key"])


def note(host: str, port: int, key: str, environ: Mapping[str, str] = os.environ) -> None:
    """Note where the server is, for this user alone: the key is a secret.

    Raises:
      OSError: it cannot be written.
    """
    path = noted_in(environ)
    make_folder(os.path.dirname(path))
    replace(path, json.dumps({"host": host, "port": port, "api_key": key}) + "\n")


def noted_in(environ: Mapping[str, str]) -> str:
    return os.path.join(os.path.dirname(home(environ)), "server.json")


def _read(path: str) -> Json:
    try:
        with open(path, encoding="utf-8") as file:
            said = json.load(file)
    except (FileNotFoundError, NotADirectoryError):  # never installed: the defaults hold
        return {}
    except (OSError, ValueError) as error:
        raise Nowhere(f"{path} cannot be read ({error}); `pointsman hook install` writes it anew") from error
    return said if isinstance(said, dict) else {}


def _number(said: object, name: str) -> int:
    try:
        port = int(str(said))
    except ValueError as error:
        raise Nowhere(f"{name} is {str(said)!r}, which is no port") from error
    if not 0 < port < 65536:
        raise Nowhere(f"{name} is {port}, which is no port")
    return port
