"""A request that is cancelled at one of its awaits, and what is left of it in the service once it is gone."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from auditor.events import AnyEvent, Reported, Validated
from controlplane.service import Service

PATIENCE_S = 30.0


class Cancelled:
    """Drives a coroutine and cancels its task at the k-th place where it is suspended, counted from 1.

    `woken` cancels it when what it waits for is there, and it has not gone on yet: the result is lost then.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], at: int, *, woken: bool) -> None:
        self.suspended = 0
        self._work, self._at, self._woken = work, at, woken

    @types.coroutine
    def run(self) -> Generator[Any, Any, Any]:
        """For a task of its own: it is driven as the event loop would drive the coroutine itself."""
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                awaited = self._work.send(sent) if thrown is None else self._work.throw(thrown)
            except StopIteration as ended:
                return ended.value
            self.suspended += 1
            if self.suspended == self._at:
                self._cancel(awaited)
            sent = thrown = None
            try:
                sent = yield awaited
            except BaseException as error:
                thrown = error

    def _cancel(self, awaited: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._woken and awaited is not None:
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()


class Sent:
    """One request to an application in this process, without a server between."""

    def __init__(self, app: Any, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.status, self.body = 0, b""
        self._parts = [{"type": "http.request", "body": body, "more_body": False}]
        self._app = app
        given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        path, _, query = path.partition("?")
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": given,
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
        }  # fmt: skip

    async def answer(self) -> "Sent":
        await self._app(self._scope, self._receive, self._send)
        return self

    async def _receive(self) -> Any:
        await asyncio.sleep(0)  # a body comes in its own time
        return self._parts.pop() if self._parts else {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await asyncio.sleep(0)  # an answer is taken in its own time
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  # what is waited for belongs to the service, which rings no bell
            await asyncio.sleep(0)


async def settled(service: Service, resting: set[asyncio.Task[Any]]) -> None:
    """Wait until every task but those has ended, and everything is folded."""
    await until(lambda: asyncio.all_tasks() <= resting and service.learner.version == service.journal.last_seq)
    await asyncio.sleep(0)  # what was to be called when a task ended is called in the next turn


def left_behind(service: Service) -> dict[str, Any]:
    """Whatever a service at rest should not hold, by what it is."""
    journal: Any = service.journal
    idempotency: Any = service.idempotency
    learner: Any = service.learner
    embedder: Any = service.embedder
    chat: Any = service.chat
    held = {
        "a transaction": journal._writer.in_transaction or journal._reader.in_transaction,
        "writes": [*journal._pending, *journal._erasures, *journal._unerased, *journal._flushes],
        "idempotency keys": idempotency._running,
        "waits for the fold": [*learner._waiting, *learner._passing],
        "the fold's lock": learner._still.locked(),
        "shares": claimed(service),
        "texts to embed": embedder._waiting,
        "completions under way": chat.completions._flights,
        "calls of chats": chat._errands._running,
        "unhealth": not service.healthy,
    }
    return {what: there for what, there in held.items() if there}


def claimed(service: Service) -> int:
    """The claims on shares that are held."""
    influence: Any = service.learning._influence
    return sum(counts.total() for counts in influence._claimed.values())


def on_their_way(service: Service) -> list[AnyEvent]:
    """Reports and validations that are committed and not folded."""
    journal: Any = service.journal
    events = [recorded.event for recorded in journal._tail.after(service.learner.version) or ()]
    return [event for event in events if isinstance(event, Reported | Validated)]
