"""The server of one seed: the real application and service over a disk that outlives its crashes."""

import asyncio
import functools
import random
import re
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from controlplane import settings
from controlplane.alarms import LABEL
from controlplane.app import Application, create_app
from controlplane.chat import TRACE_ID
from controlplane.data_folder import RECOVERY_FOLDER
from controlplane.errors import JournalUnavailable, StorageFull
from controlplane.llm.provider import ProviderFailed
from controlplane.parts import Ways
from controlplane.service import Service

from ..echoing import Echo
from .loop import SimulatedClock, SimulatedLoop
from .receiver import URL, Receiver
from .store import CrashingJournal, Disk, Faults

DRIVER = "driver"  # how tasks are called that no crash ends
PATIENCE_S = 60.0  # after which a call that nobody stopped was lost
PAUSES_S = (0.0, 0.0, 0.01, 0.2, 1.0)  # of models before they answer
UNSTEADY = ("GET /metrics", "GET /status")  # their bodies tell of this machine, too
# Random names, told apart by their last 12 characters. It begins with what is rare: every answer is searched.
_IDS = re.compile(
    rb'[_/"(](?:((?:key_id|about|by|agent|name)":"|admin/keys/|key )\w{12}\b|(?:[0-9a-f]{32}){1,2}'
    rb"|(?:live|admin)_\w{51})"
)
MakeJournal = Callable[[Disk, Faults], CrashingJournal]


class Answer(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    content_type: str
    body: bytes
    trace_id: str | None = None  # where a header has it

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body) if "json" in self.content_type and self.body else None


class World:
    """Time, disk, faults and the server. What is wrong is kept, and the run goes on."""

    def __init__(
        self,
        loop: SimulatedLoop,
        rng: random.Random,
        folder: Path,
        make_journal: MakeJournal,
        chosen: dict[str, Any],
    ) -> None:
        self.loop, self.rng, self.folder = loop, rng, folder
        self.clock, self.disk, self.faults = SimulatedClock(loop), Disk(), Faults(rng)
        self.wrong: list[str] = []
        self.up = asyncio.Event()
        self.lives = 0
        self.idle = asyncio.Event()  # nothing is being asked
        self.idle.set()
        self._asking = 0
        self._make_journal = make_journal
        self._trace = blake2b(digest_size=16)
        self._names: dict[bytes, bytes] = {}
        self.receiver = Receiver(loop, rng, self.note)
        self.app = application()
        self.settings = settings.load({}, overrides=SETTINGS | chosen | {"data_dir": str(folder)})

    async def start(self) -> None:
        """A process starts; one that cannot write is started again once it can."""
        while not await self._started():
            await self.die()
            self.faults.standing = None
        self.app.take(self.service)
        self.note("up")
        self.up.set()

    async def _started(self) -> bool:
        self.lives += 1
        self.journal = self._make_journal(self.disk, self.faults)
        try:
            ways = Ways(transport=self.receiver, providers={"openai": Echo(self._before_answers)})
            self.service = await Service.over(self.journal, self.settings, self.clock, ways=ways)
        except (StorageFull, JournalUnavailable) as refusal:
            self.note("not up", refusal.code)
            return False
        self.receiver.key = self.service.registry.derived(LABEL)
        return True

    async def _before_answers(self) -> None:
        """What a provider of language models does before it answers."""
        if self.receiver.steady:
            return
        await asyncio.sleep(self.rng.choice(PAUSES_S))
        if self.rng.random() < 0.1:
            kind: Any = self.rng.choice(("bad_request", "rate_limit", "status"))
            raise ProviderFailed(kind, "openai", retryable=kind != "bad_request")

    async def die(self) -> None:
        """As of `kill -9`: whatever runs ends where it stands."""
        self.up.clear()
        await self.loop.kill([task for task in self.loop.alive if not task.get_name().startswith(DRIVER)])

    async def crash(self) -> None:
        """Die, lose some of the recovery files perhaps, and start again; sometimes it dies while it starts."""
        self.note("crash")
        await self.die()
        self._lose_files()
        if self.rng.random() < 0.2:
            starting = self.loop.create_task(self.start(), name="starting")
            await asyncio.wait({starting}, timeout=self.rng.choice((0.0, 0.001, 0.01)))
            await self.die()
        await self.start()

    def _lose_files(self) -> None:
        files = sorted((self.folder / RECOVERY_FOLDER).glob("*.fold"), reverse=True)
        match self.rng.randrange(4):
            case 0:
                lost = files[: self.rng.randint(0, len(files))]
                for path in lost:
                    path.unlink()
            case 1 if files:
                content = bytearray(files[0].read_bytes())
                content[self.rng.randrange(len(content))] ^= 1
                files[0].write_bytes(content)

    async def restart(self) -> None:
        """Stop in order, and start again."""
        self.note("restart")
        self.up.clear()
        await self.idle.wait()  # a server that stops answers what came in before
        await self.service.close()
        await self.die()  # with what was done beside requests, which nobody waits for
        await self.start()

    async def ask(
        self, route: str, path: str, headers: dict[str, str], body: Any, gone_after: float | None = None
    ) -> Answer | None:
        """Send a request; None when the answer never came: the server died, or the caller went away."""
        self._asking += 1
        self.idle.clear()
        task = self.loop.create_task(self._answered(route.partition(" ")[0], path, headers, body), name="request")
        if gone_after is not None:
            self.loop.call_later(gone_after, task.cancel)
        await asyncio.wait({task}, timeout=PATIENCE_S)
        self._asking -= 1
        if not self._asking:
            self.idle.set()
        if not task.done():
            self.wrong.append(f"I10: {route} was not answered in {PATIENCE_S:g} s")
            task.cancel()
            return None
        answer = None if task.cancelled() else task.result()
        self.note(route, path, answer and (answer.status, b"" if route in UNSTEADY else answer.body))
        return answer

    async def _answered(self, method: str, path: str, headers: dict[str, str], body: Any) -> Answer:
        said: list[Any] = []
        content = b"" if body is None else msgspec.json.encode(body)
        sent = {"content-type": "application/json"} if body is not None else {}
        sent |= headers
        path, _, query = path.partition("?")

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in sent.items()],
            "client": ("client", 1), "server": ("server", 80),
        }  # fmt: skip
        await self.app(scope, receive, send)  # type: ignore[arg-type]
        fields = {k.decode().lower(): v.decode() for k, v in said[0]["headers"]}
        content = b"".join(m.get("body", b"") for m in said[1:])
        return Answer(said[0]["status"], fields.get("content-type", ""), content, fields.get(TRACE_ID))

    def note(self, *what: object) -> None:
        """Take something into the run's trace; random names count by the order in which they came up."""
        line = b" ".join(part if isinstance(part, bytes) else repr(part).encode() for part in (self.loop.time(), *what))
        self._trace.update(_IDS.sub(self._named, line) + b"\n")

    def _named(self, found: re.Match[bytes]) -> bytes:
        return (found[1] or b"") + self._names.setdefault(found[0][-12:], b"#%d" % len(self._names))

    @property
    def trace(self) -> str:
        """Digest of everything that was asked and answered, with its time."""
        return self._trace.hexdigest()


SETTINGS: dict[str, Any] = {
    "embedder": "hashing",
    "seed": 7,
    "epsilon": 0.3,
    "route_window_s": 15.0,  # short, so that a run sees windows close and recovery files written
    "gate_window_s": 25.0,
    "trajectory_ttl_s": 30.0,
    "recovery_interval_s": 6.0,
    "request_log": "off",
    "alarm_url": URL,
    "chat_window_s": 15.0,
}


@functools.cache
def application() -> Application:
    """Made once in a process; each start hands it its service."""
    return create_app(settings.load({}, overrides=SETTINGS))
