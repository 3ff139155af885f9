"""Running the application on uvicorn."""

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from . import failpoints
from .addresses import address
from .administration import FirstKeys
from .app import Application, create_app
from .clock import SystemClock
from .connections import Connections
from .data_folder import lock_folder
from .errors import BadSetting
from .http.request_log import Few
from .journal import versions
from .service import Service
from .settings import Settings
from .telemetry import configure_logging

log = structlog.get_logger()
Announce = Callable[[str, FirstKeys | None], None]
GRACE_S = 10
BACKLOG = 2048
GC_THRESHOLD = (5_000, 20, 1_000)  # every call waits while it collects: often a little, seldom everything


def serve(settings: Settings, announce: Announce) -> None:
    """Serve until told to stop; `announce` gets the base URL and the first keys once requests are answered.

    Raises:
      PointsmanError: the journal is damaged, or the start is refused for another reason that can be said.
      BadSetting: the port is taken, or another server uses the data folder.
    """
    configure_logging(settings.log_level)
    os.umask(0o077)  # what is remembered is the owner's alone
    if risk := versions.warning(sqlite3.sqlite_version_info):
        log.warning("sqlite_wal_reset_bug", warning=risk)
    if armed := failpoints.arm(settings.failpoints or ""):
        log.warning("failpoints_on", failpoints=armed, meaning="this server is made to die or fail, for a test")
    os.close(lock_folder(Path(settings.data_dir)))  # a folder in use is refused before an address is announced
    listener = bind(settings.host, settings.port)
    app = create_app(settings)
    logging.getLogger("uvicorn.error").addFilter(Few(SystemClock()))
    logging.getLogger("uvicorn.error").addFilter(lambda record: "refusal" not in app.state)  # it is told once, below
    config = uvicorn.Config(
        app,
        http=Connections().protocol,  # type: ignore[arg-type]  # it is called as a class would be
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE_S,
        server_header=False,
        proxy_headers=False,
    )
    gc.set_threshold(*GC_THRESHOLD)
    gc.freeze()  # what is there by now stays for good
    url = address(settings.host, listener.getsockname()[1])
    server = _Server(config, app, lambda: announce(url, _shown_once(app)))
    try:
        server.run(sockets=[listener])
    except SystemExit as failed:  # uvicorn's exit code for a failed start means something else on our command line
        raise app.state.get("refusal") or BadSetting("the server did not start; the log above says why") from failed


def _shown_once(app: Application) -> FirstKeys | None:
    """The keys that this start made; from here on nobody has them but who was shown them."""
    service: Service = app.service
    keys, service.first_keys = service.first_keys, None
    return keys


class _Server(uvicorn.Server):
    """Says when it has started; ends with exit code 0 when it was told to (uvicorn would die of the signal again)."""

    def __init__(self, config: uvicorn.Config, app: Application, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._app, self._announce = app, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._announce()
        self._loading = asyncio.create_task(self._freeze_what_loads())

    async def _freeze_what_loads(self) -> None:
        """The model's objects, some hundred thousand, would be looked at by collections for as long as they live."""
        await self._app.service.loaded()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Whoever waits for a model or for news is told that the server stops, before what is left is cut off."""
        await self._app.service.news.close()
        telling = asyncio.create_task(self._app.service.chat.close())
        await super().shutdown(sockets)
        await telling

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
      BadSetting: the port is taken or not allowed, or the host is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named TCP, or asyncio leaves its connections with Nagle's delay: 40 ms an answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)  # from here on callers wait instead of being refused while the journal is read
    except OSError as error:
        listener.close()
        setting = "HOST" if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL else "PORT"
        said = f"port {port} on {host} cannot be used: {error.strerror}; set POINTSMAN_{setting}"
        raise BadSetting(said) from error
    return listener
