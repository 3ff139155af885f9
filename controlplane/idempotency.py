"""Idempotency keys: a request that is sent again has its effect once and is told the same.

A receipt is appended together with the effect, so both are there or neither, and is found in the journal by its route
and key: there is no index that a start would have to make again or that could fill the memory.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog

from auditor import Learner
from auditor.events import (
    Answered,
    AnyEvent,
    Received,
    Recorded,
)
from auditor.receipts import REPEATABLE_S

from .clock import Clock
from .errands import Errands
from .errors import InFlight, KeyReused, PointsmanError
from .journal import Journal

log = structlog.get_logger()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request by its key: whose, what for, and the fingerprint by which another one is told from it."""

    tenant: str
    by: str
    route: str
    key: str
    fingerprint: bytes

    @property
    def ref(self) -> str:
        return f"{self.route} {self.key}"


class Receipt:
    """Stands before the journal for one request. An effect that is there already is not written again.

    Who knows the answer before the effect is written sets `answer`. Who sets `derived` has it made again each time,
    so that a purge leaves nothing of the memory it quotes.
    """

    def __init__(self, asked: Asked, journal: Journal, clock: Clock, received: int | None) -> None:
        self.answer: Any = None
        self.derived = False
        self.received = received  # its number, once it is in the journal
        self.handed = received is not None  # whether the call gave its effect here
        self._asked, self._journal, self._clock = asked, journal, clock

    async def append(self, *events: AnyEvent) -> int:
        """Commit the receipt and its effect; the number of the effect's first event, now or back then."""
        self.handed = True
        if self.received is None:
            asked = self._asked
            received = Received(
                tenant=asked.tenant,
                at=self._clock.now(),
                route=asked.route,
                key=asked.key,
                fingerprint=asked.fingerprint,
                by=asked.by,
                answer=self.answer,
            )
            self.received = await self._journal.append(received, *events)
        return self.received + 1


Call = Callable[[Receipt], Awaitable[Any]]


class Idempotency:
    """Lets each keyed request through once, and repeats what it was answered for 24 hours."""

    def __init__(self, learner: Learner, journal: Journal, clock: Clock) -> None:
        self._learner, self._journal, self._clock = learner, journal, clock
        self._running: set[tuple[str, str]] = set()
        self._errands = Errands()

    async def once(self, asked: Asked, call: Call) -> Any:
        """The call's answer, or what it was answered before. A caller that goes away does not stop it midway.

        Raises:
          InFlight: it is still being answered.
          KeyReused: the key came with another request.
        """
        slot = asked.tenant, asked.ref
        if slot in self._running:
            raise InFlight
        self._running.add(slot)
        return await self._errands.finish(self._held(slot, asked, call))

    async def _held(self, slot: tuple[str, str], asked: Asked, call: Call) -> Any:
        try:
            return await self._once(asked, call)
        finally:
            self._running.remove(slot)

    async def _once(self, asked: Asked, call: Call) -> Any:
        received = await self._last(asked)
        if received is not None and (told := await self._told(asked, *received)) is not None:
            return told
        receipt = Receipt(asked, self._journal, self._clock, received[0] if received else None)
        answer = await call(receipt)
        assert receipt.handed, f"{asked.route} did not hand its events to the receipt"
        if receipt.received is None:  # decided without the journal (its tenant's fail mode): there is nothing to repeat
            return answer
        if receipt.answer is not None:
            return receipt.answer
        if not receipt.derived:
            await self._keep(asked, receipt.received, answer)
        return answer

    async def _last(self, asked: Asked) -> tuple[int, Received] | None:
        """The receipt of this key that still holds.

        Raises:
          KeyReused: it is another request's.
        """
        for recorded in reversed(await self._about(asked, "receipt")):
            event = recorded.event
            if isinstance(event, Received) and self._clock.now() - event.at < REPEATABLE_S:
                if event.fingerprint != asked.fingerprint:
                    raise KeyReused
                return recorded.seq, event
        return None

    async def _told(self, asked: Asked, seq: int, received: Received) -> Any:
        """What the journal has of the answer; None where it is to be made again from the effect."""
        if received.answer is not None:
            return received.answer
        answers = [recorded.event for recorded in await self._about(asked, "answered")]
        return next((a.answer for a in answers if isinstance(a, Answered) and a.receipt == seq), None)

    async def _about(self, asked: Asked, kind: str) -> list[Recorded]:
        return await self._journal.about(asked.tenant, asked.ref, kind)

    async def _keep(self, asked: Asked, received: int, answer: Any) -> None:
        """Journal the answer. The effect is there, so a failure is no refusal: the answer can be made again."""
        at = self._clock.now()
        kept = Answered(tenant=asked.tenant, at=at, route=asked.route, key=asked.key, receipt=received, answer=answer)
        try:
            await self._journal.append(kept)
        except PointsmanError as error:
            log.warning("answer_not_kept", route=asked.route, error=str(error), costs="it is made again if asked for")
