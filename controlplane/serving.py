"""Running the application on uvicorn."""

import socket
from collections.abc import Callable

import uvicorn

from .app import create_app
from .errors import BadSetting
from .settings import Settings
from .telemetry import configure_logging

LOOPBACK = ("127.0.0.1", "::1", "localhost")
GRACE_S = 10


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until told to stop; `announce` gets the base URL once the port is bound.

    Raises:
      BadSetting: the address is not loopback, or the port is taken.
    """
    if settings.host not in LOOPBACK:
        raise BadSetting(f"POINTSMAN_HOST={settings.host!r}: only loopback is served until API keys exist")
    configure_logging(settings.log_level)
    listener = bind(settings.host, settings.port)
    announce(f"http://{settings.host}:{listener.getsockname()[1]}")
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise BadSetting("the server did not start; the log above says why")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
      BadSetting: the port is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadSetting(f"port {port} on {host} cannot be used: {error.strerror}; set POINTSMAN_PORT") from error
    return listener
