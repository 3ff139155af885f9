"""A connection to NATS and its stream, with nats-py, which is an extra of its own: `pip install 'pointsman[nats]'`.

It is made again for ever. Failures are told by their kind: an address may hold a secret, and a subject names a tenant.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import structlog

from .errors import BadSetting

if TYPE_CHECKING:
    from nats.js import JetStreamContext

log = structlog.get_logger()
STREAM, SUBJECTS = "POINTSMAN", "pointsman.>"
KEPT_S, REPEATS_S = 7 * 86_400.0, 3600.0  # of a stream that is made: how long it has messages, and ids to know them by
DEADLINE_S, PAUSE_S = 3.0, 1.0  # of a call, and before the next connection
PING_S = 10  # a server that leaves two of them unanswered is gone
UNTRIED, LOST = "not connected yet", "the connection was lost"


class NoBroker(Exception):
    """Nobody acknowledged it, though somebody may have it; the message says why, without an address or a subject."""


class JetStream:
    """The connection; `trouble` says why there is none, None where there is one."""

    def __init__(self, url: str) -> None:
        """Raises BadSetting where nats-py is not installed."""
        refuse_missing()
        self.trouble: str | None = UNTRIED
        self._url, self._warned = url, False
        self._line = Line()

    async def run(self) -> None:
        """Hold a connection, and make the next one when it is lost, until cancelled."""
        while True:
            try:
                await self._hold()
                self._away(LOST)
            except Exception as error:  # a loop that ends would leave everything unsent
                self._away(_brief(error))
            await asyncio.sleep(PAUSE_S)

    async def _hold(self) -> None:
        line = self._line = Line()
        async with line.connected(self._url) as stream:
            await _have(stream)
            log.info("broker_connected")
            self.trouble, self._warned = None, False
            await line.lost.wait()

    def _away(self, why: str) -> None:
        if not self._warned:
            log.warning("broker_away", why=why, until="it can be connected to; what it is to be told waits")
        self.trouble, self._warned = why, True

    async def publish(self, subject: str, body: bytes, message_id: str) -> bool:
        """Send a message until the stream acknowledges it; whether it is none that the stream had already.

        Raises:
          NoBroker: it did not.
        """
        line = self._line
        if line.stream is None:
            raise NoBroker(self.trouble)
        from nats.js.errors import NoStreamResponseError

        try:
            async with line.patience():
                taken = await line.stream.publish(subject, body, DEADLINE_S, headers={"Nats-Msg-Id": message_id})
        except NoStreamResponseError as error:
            line.lost.set()  # with the next connection it is made again
            raise NoBroker("no stream takes it") from error
        except Exception as error:  # of whatever kind: the client, its transport, what the server says
            raise NoBroker(_brief(line.take_complaint() or error)) from error
        return not taken.duplicate


class Line:
    """One connection from its making to its loss; the client is told to make no other, so that there is one way."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.stream: JetStreamContext | None = None
        self._complaint: Exception | None = None
        self._deadlines = set[asyncio.Timeout]()

    @contextlib.asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """A deadline, which has come when the connection is lost."""
        async with asyncio.timeout(DEADLINE_S) as deadline:
            self._deadlines.add(deadline)
            try:
                yield
            finally:
                self._deadlines.discard(deadline)

    @contextlib.asynccontextmanager
    async def connected(self, url: str) -> AsyncIterator["JetStreamContext"]:
        """Raises NoBroker where it cannot be made."""
        from nats.aio.client import Client

        client = Client()
        try:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    await client.connect(
                        url,
                        name="pointsman",
                        error_cb=self._hear,
                        closed_cb=self._lose,
                        allow_reconnect=False,
                        max_reconnect_attempts=1,
                        reconnect_time_wait=0,
                        ping_interval=PING_S,
                    )
            except Exception as error:
                raise NoBroker(_brief(self.take_complaint() or error)) from error
            self.stream = client.jetstream(timeout=DEADLINE_S)
            yield self.stream
        finally:
            self.stream = None
            async with asyncio.timeout(DEADLINE_S):
                await client.close()

    async def _hear(self, error: Exception) -> None:
        self._complaint = error

    async def _lose(self) -> None:
        self.lost.set()
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(0.0)

    def take_complaint(self) -> Exception | None:
        """What the server or the client complained of last, once; a caller is only told that time is up."""
        complaint, self._complaint = self._complaint, None
        return complaint


def refuse_missing() -> None:
    """Raises BadSetting where nats-py is not installed."""
    try:
        import nats  # noqa: F401
    except ImportError as error:
        raise BadSetting("broker_url needs nats-py: pip install 'pointsman[nats]'") from error


async def look(url: str) -> bool:
    """Whether the stream is there; nothing is made.

    Raises:
      BadSetting: nats-py is not installed.
      NoBroker: nobody answers, or has streams.
    """
    refuse_missing()
    from nats.js.errors import NotFoundError

    async with Line().connected(url) as stream:
        try:
            await stream.stream_info(STREAM)
        except NotFoundError:
            return False
        except Exception as error:
            raise NoBroker(_brief(error)) from error
    return True


async def _have(stream: "JetStreamContext") -> None:
    """Make the stream unless it is there, however it is kept."""
    from nats.js.errors import NotFoundError

    try:
        await stream.stream_info(STREAM)
    except NotFoundError:
        await stream.add_stream(name=STREAM, subjects=[SUBJECTS], max_age=KEPT_S, duplicate_window=REPEATS_S)


def _brief(error: BaseException) -> str:
    """What went wrong, without what other libraries quote: a host, or the subject that is not permitted."""
    from nats.errors import Error
    from nats.js.errors import APIError

    match error:
        case NoBroker():
            return str(error)
        case APIError(description=str() as said):
            return said
        case Error() if type(error) is Error and "permissions violation" not in str(error).lower():
            return str(error)
        case Error() if type(error) is Error:
            return "not permitted"
    return type(error).__name__
