"""A Redis that replicas share, in memory: what its commands and our two scripts do, and how it goes away.

It takes the place of redis-py's connection, so that the product's own `Link` runs its rounds over it. It keeps the
contract of limiters and caches (`tests/contracts/`), and answers as a real server does to whatever is drawn.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha1
from typing import Any

from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from controlplane.redis import Link
from controlplane.redis.link import DEADLINE_S, HEARTBEAT, Command
from controlplane.tenants.redis_limits import GCRA

QUICK_S, SLOW_S = (0.0, 0.0, 0.0003, 0.002, 0.01), (0.0, 0.03, 0.2)  # until a reply is there
GONE_S = (0.0, 0.001, 0.05)  # until it is known that nobody is there
_S = 10**6  # microseconds


class SimulatedRedis:
    """What outlives every replica, until it is killed or flushed."""

    def __init__(self, now: Callable[[], float], rng: random.Random) -> None:
        self.values: dict[str, bytes] = {}
        self.living: dict[str, dict[str, int]] = {}
        self.slow = self.full = self.killed = False
        self.cut: SimulatedConnection | None = None  # whose way here is broken
        self.lives = 0
        self.rng = rng
        self._now, self._ends = now, dict[str, int]()
        self._scripts: dict[str, Callable[[list[str], list[Any]], list[int]]] = {}
        self._going = asyncio.Event()
        self._going.set()
        self._left: list[Command] = []

    def kill(self) -> None:
        self.killed, self.lives = True, self.lives + 1
        self.flush()
        self._scripts.clear()

    def start(self) -> None:
        self.killed = False

    def pause(self) -> None:
        self._going.clear()

    def go_on(self) -> None:
        """First it does what came before, though nobody waits for the replies any more."""
        self._going.set()
        left, self._left = self._left, []
        self.abandoned(left)

    def flush(self) -> None:
        self.values.clear()
        self.living.clear()
        self._ends.clear()
        self._left.clear()

    def abandoned(self, commands: Sequence[Command]) -> None:
        """Sent by somebody who does not wait for the replies: some of it had arrived."""
        if not self._going.is_set():
            self._left += commands
            return
        for command in commands[: self.rng.randint(0, len(commands))]:
            with contextlib.suppress(RedisError):
                self.do(command)

    async def reached(self, by: "SimulatedConnection") -> None:
        """Time passes until it has read what was sent. Raises ConnectionError."""
        await asyncio.sleep(self.rng.choice(SLOW_S if self.slow else QUICK_S))
        await self._going.wait()
        if self.killed or self.cut is by:
            await asyncio.sleep(self.rng.choice(GONE_S))
            raise ConnectionError

    def do(self, command: Command) -> Any:
        """Its reply. Raises RedisError."""
        name, arguments = str(command[0]), list(command[1:])
        match name:
            case "GET":
                return self._get(str(arguments[0]))
            case "SET":
                self._set(str(arguments[0]), _bytes(arguments[1]), arguments[2:])
                return b"OK"
            case "SCRIPT":
                return self._load(str(arguments[1]))
            case "EVALSHA":
                return self._run(str(arguments[0]), arguments[2 : 2 + int(arguments[1])], arguments[4:])
            case "ZREM":
                return int(self.living.get(str(arguments[0]), {}).pop(str(arguments[1]), None) is not None)
        raise ResponseError(f"unknown command {name}")

    def _us(self) -> int:
        return int(self._now() * _S)

    def _get(self, key: str) -> bytes | None:
        if (ends := self._ends.get(key)) is not None and ends <= self._us():
            del self.values[key], self._ends[key]
        return self.values.get(key)

    def _set(self, key: str, value: bytes, options: Sequence[Any] = ()) -> None:
        if self.full:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        self.values[key] = value
        self._ends.pop(key, None)
        if options:
            self._ends[key] = self._us() + int(options[1]) * 1000

    def _load(self, text: str) -> bytes:
        name = sha1(text.encode(), usedforsecurity=False).hexdigest()
        self._scripts[name] = {GCRA: self._count, HEARTBEAT: self._hear}[text]
        return name.encode()

    def _run(self, name: str, keys: Sequence[Any], arguments: Sequence[Any]) -> list[int]:
        if name not in self._scripts:
            raise NoScriptError("No matching script. Please use EVAL.")
        if self.full:
            raise OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
        return self._scripts[name](list(map(str, keys)), list(arguments))

    def _count(self, keys: list[str], arguments: list[Any]) -> list[int]:
        """As `gcra.lua`."""
        every, window, told, ahead = map(int, arguments[:4])
        now = self._us() if arguments[4] == "" else int(arguments[4])
        born = int(self._get(keys[1]) or now + 1)
        if born > now:
            born = now
            self._set(keys[1], b"%d" % born)
        due = max(now, int(self._get(keys[0]) or born + window), told, now + ahead)
        due = min(due, now + window)
        if passes := due + every - now <= window:
            due += every
        self._set(keys[0], b"%d" % due, ("PX", -((now - due) // 1000) + 1))
        return [int(passes), due - now, due]

    def _hear(self, keys: list[str], arguments: list[Any]) -> list[int]:
        """As `heartbeat.lua`."""
        now = self._us()
        if self._get(keys[1]) is None:
            self._set(keys[1], b"%d" % now)
        gone = now - int(arguments[1]) * _S
        living = self.living[keys[0]] = {w: at for w, at in self.living.get(keys[0], {}).items() if at >= gone}
        added = str(arguments[0]) not in living
        living[str(arguments[0])] = now
        return [int(added), len(living)]


class SimulatedConnection:
    """One replica's way there, as `Link` uses redis-py's."""

    def __init__(self, server: SimulatedRedis) -> None:
        self._server, self._sent = server, deque[Command]()
        self._under_way = False  # what was sent
        self._life: int | None = None  # of the server, while there is a connection

    async def connect(self) -> None:
        if self._life is None:
            await self._server.reached(self)
            self._life = self._server.lives

    def pack_commands(self, commands: Sequence[Command]) -> Sequence[Command]:
        return commands

    async def send_packed_command(self, commands: Sequence[Command]) -> None:
        self._sent.extend(commands)
        self._under_way = True

    async def read_response(self) -> Any:
        if self._under_way:
            await self._server.reached(self)
            self._under_way = False
        if self._life != self._server.lives:
            raise ConnectionError
        return self._server.do(self._sent.popleft())

    async def disconnect(self, nowait: bool = False) -> None:
        left, self._sent = list(self._sent), deque()
        if self._life == self._server.lives and not self._server.killed and self._server.cut is not self:
            self._server.abandoned(left)
        self._life = None


class SimulatedLink(Link):
    """One replica's link, over such a connection."""

    def __init__(self, server: SimulatedRedis, namespace: str, deadline_s: float = DEADLINE_S) -> None:
        super().__init__("redis://simulated", namespace, deadline_s)
        self.way = SimulatedConnection(server)
        connection: Any = self.way
        self._connection = connection


def _bytes(value: str | bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
