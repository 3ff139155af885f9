"""The one connection to Redis: commands go in rounds, and while it does not answer nobody waits for it.

The one file that imports redis-py, an extra of its own. Callers wait for a future and never hold the connection, so
that one who goes away leaves no reply for the next to read; whatever ends a round early drops the connection.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import TYPE_CHECKING, Any

import structlog

from ..errors import BadSetting
from ..ids import new_id

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

log = structlog.get_logger()
DEADLINE_S = 0.05  # of a round, for requests wait for it; a Redis nearby answers within a fiftieth of that
LOOK_S = 0.005  # between two looks whether it is over
CONNECT_S = 1.0  # names, TLS and logging in: nobody waits for it
BEAT_S = 1.0  # between two heartbeats, which are the probes of a Redis that is away
GONE_S = 10.0  # without a heartbeat, after which a replica is no longer counted
ROUND = 128  # commands at once: their replies are read in a tenth of the deadline
UNASKED = "it was not asked yet"
HEARTBEAT = (resources.files(__package__) / "heartbeat.lua").read_text("utf-8")

Command = Sequence[str | bytes | int]


class RedisAway(Exception):
    """Redis does not answer, or refuses; whoever asked goes on without it."""


class Link:
    """The connection, whether it can be used (`trouble` says why not), and how many replicas there are."""

    def __init__(self, url: str, namespace: str, deadline_s: float = DEADLINE_S) -> None:
        """Nothing is connected before the first `beat`; `namespace` begins every key. A round has `deadline_s`.

        Raises:
          BadSetting: redis-py is not installed, or the URL has options that it does not know.
        """
        try:
            from redis.asyncio import ConnectionPool
        except ImportError as error:
            raise BadSetting("POINTSMAN_REDIS_URL needs redis-py: pip install 'pointsman[redis]'") from error
        try:
            pool = ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_S)
            self._connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError):  # they quote the URL
            raise BadSetting("POINTSMAN_REDIS_URL has an option that redis-py does not take") from None
        self.namespace, self.replicas, self._deadline_s = namespace, 1, deadline_s
        self.trouble: str | None = UNASKED
        self._who = new_id("replica")
        self._scripts: list[str] = []
        self._heartbeat = self.script(HEARTBEAT)
        self._rising_until = 0.0
        self._waiting: list[tuple[Command, asyncio.Future[Any]]] = []
        self._rounds: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def key(self, *parts: str) -> str:
        return ":".join((self.namespace, *parts))

    @property
    def born(self) -> str:
        """The key of since when this Redis has counted: one that lost what it knew starts anew."""
        return self.key("born")

    def script(self, text: str) -> str:
        """What EVALSHA calls a script that Redis is told of with each new connection."""
        self._scripts.append(text)
        return sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def ask(self, *command: str | bytes | int) -> Any:
        """What Redis replies; waits for two rounds at most. Who is cancelled here leaves the round as it is.

        Raises:
          RedisAway: it did not answer in time, or it refused; or that is how it was when it was last asked.
        """
        if self.trouble is not None:
            raise RedisAway(self.trouble)
        replied: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((command, replied))
        if self._rounds is None or self._rounds.done():
            self._rounds = asyncio.create_task(self._run_rounds(), name="redis")
        return await replied

    async def _run_rounds(self) -> None:
        """What came while a round was under way goes with the next one."""
        while self._waiting:
            async with self._turn:
                batch = self._waiting[:ROUND]
                if not batch:  # a heartbeat found out meanwhile, and told them
                    return
                try:
                    replies = await self._round([command for command, _ in batch])
                except Exception as error:  # of whatever kind: nobody may wait for ever
                    self._lost(error)
                    return
                self._waiting = self._waiting[len(batch) :]
            for (_, replied), reply in zip(batch, replies, strict=True):
                if not replied.done():
                    replied.set_result(reply)

    async def _round(self, commands: Sequence[Command], within_s: float | None = None) -> list[Any]:
        """Replies, in order. Whatever ends it early drops the connection, so that no reply is left unread.

        The deadline is so many looks: a loop that is busy looks later, and does not take its own delay for Redis's.
        """
        reading = asyncio.create_task(self._exchange(commands))
        try:
            for _ in range(round((within_s or self._deadline_s) / LOOK_S)):
                if (await asyncio.wait((reading,), timeout=LOOK_S))[0]:
                    return reading.result()
            raise TimeoutError
        except BaseException:
            reading.cancel()
            await self._connection.disconnect(nowait=True)
            await asyncio.gather(reading, return_exceptions=True)
            raise

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        connection = self._connection
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_packed_command(connection.pack_commands(commands))
        return [await connection.read_response() for _ in commands]

    def _lost(self, error: Exception) -> None:
        """Nobody waits for it any more, until a heartbeat is answered."""
        if self.trouble in (None, UNASKED):
            log.warning("redis_away", why=_brief(error))
        self._leave(_brief(error))

    def _leave(self, why: str) -> None:
        self.trouble = why
        waiting, self._waiting = self._waiting, []
        for _, replied in waiting:
            if not replied.done():
                replied.set_exception(RedisAway(why))

    async def watch(self) -> None:
        """Send heartbeats for ever."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_S)

    async def beat(self) -> None:
        """Say that this replica lives, count them all, and find out whether Redis answers."""
        heartbeat = ("EVALSHA", self._heartbeat, 2, self.key("replicas"), self.born, self._who, int(GONE_S))
        async with self._turn:
            try:
                if self.trouble is not None:
                    await self._round([("SCRIPT", "LOAD", text) for text in self._scripts], CONNECT_S)
                [[added, living]] = await self._round([heartbeat])
            except Exception as error:
                self._lost(error)
                return
        self._count(living, anew=bool(added))
        if self.trouble not in (None, UNASKED):
            log.info("redis_back")
        self.trouble = None

    def _count(self, living: int, *, anew: bool) -> None:
        """Where Redis did not know this replica it may not know the others yet: for a while the number only rises."""
        now = asyncio.get_running_loop().time()
        if anew:
            self._rising_until = now + GONE_S
        self.replicas = max(living, self.replicas if now < self._rising_until else 1)

    async def close(self) -> None:
        """Tell the others that this replica is gone, and let go of the connection."""
        async with self._turn:
            if self.trouble is None:
                try:
                    await self._round([("ZREM", self.key("replicas"), self._who)])
                except Exception as error:  # of whatever kind: nobody may wait for ever
                    self._lost(error)
            self._leave("this replica stops")
            await self._connection.disconnect(nowait=True)


async def look(url: str) -> str | None:
    """Ask a Redis once: why it cannot be used, or None.

    Raises:
      BadSetting: as `Link` does.
    """
    link = Link(url, "", CONNECT_S)
    try:
        await link._round([("PING",)])
    except Exception as error:
        return _brief(error)
    await link._connection.disconnect()
    return None


def _brief(error: Exception) -> str:
    """Only the kind: what redis-py says of an error quotes addresses and commands."""
    return type(error).__name__
