"""The one consumer: it reads committed events in sequence order, folds them and publishes what was learnt."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from .answers import Answer
from .events import Recorded, rests_on
from .fold import Applied
from .protocols import EventSource, LearnedSink, PrefixStore
from .state import State

ANSWERS_KEPT = 10_000  # answers nobody came for (a cancelled request) are dropped beyond this


class Learner:
    """Owns the learnt state. Decisions read it between two folds and name its sequence number."""

    def __init__(self, state: State, source: EventSource, sink: LearnedSink, prefixes: PrefixStore) -> None:
        self.state = state
        self.failure: Exception | None = None
        self._source, self._sink, self._prefixes = source, sink, prefixes
        self._done = state.seq  # folded, handed on and answered
        self._answers: OrderedDict[int, Answer] = OrderedDict()
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._passing: list[tuple[int, asyncio.Future[None]]] = []
        self._still = asyncio.Lock()  # held by who folds, and by who needs that nobody does
        self._observers: list[Callable[[Recorded, Applied], None]] = []

    @property
    def version(self) -> int:
        return self.state.seq

    def observe(self, observer: Callable[[Recorded, Applied], None]) -> None:
        """Have every folded event handed on with what it did (memory and metrics are folds too)."""
        self._observers.append(observer)

    async def reached(self, seq: int) -> Answer:
        """Wait until the event is folded; its answer, which is handed out once unless a receipt keeps it."""
        if seq in self._answers:
            return self._answers.pop(seq)
        if seq <= self._done:
            return self.state.receipts.of(seq)
        if self.failure is not None:
            raise self.failure
        future = self._waiting.setdefault(seq, asyncio.get_running_loop().create_future())
        return await asyncio.shield(future)

    async def passed(self, seq: int) -> None:
        """Wait until the event is folded; its answer stays with whoever sent it."""
        if seq <= self._done:
            return
        if self.failure is not None:
            raise self.failure
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._passing.append((seq, future))
        await future

    async def dump(self) -> tuple[int, bytes]:
        """(sequence number, learnt state). Folding waits meanwhile, decisions and everything else go on.

        Raises the failure of a fold that stopped in the middle of an event.
        """
        async with self._still:
            if self.failure is not None:
                raise self.failure
            pieces = []
            for piece in self.state.pieces():
                pieces.append(piece)
                await asyncio.sleep(0)
            return self.state.seq, b"".join(pieces)

    async def run(self) -> None:
        """Fold for ever. A fold that fails is a defect: it stops the learner, and everybody who waits hears of it."""
        try:
            while True:
                for recorded in await self._source.committed(self.state.seq):
                    async with self._still:
                        await self._fold(recorded)
        except Exception as error:
            self.failure = error
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(error)
            for _, passing in self._passing:
                if not passing.done():
                    passing.set_exception(error)
            raise

    async def _fold(self, recorded: Recorded) -> None:
        event, prefix = recorded.event, None
        if (place := rests_on(event)) is not None:
            prefix = await self._prefixes.prefix(event.tenant, place)
        applied = self.state.apply(recorded, prefix)
        if applied.learned:
            self._sink.record(event.tenant, applied.learned)
        for observer in self._observers:
            observer(recorded, applied)
        self._answer(recorded.seq, applied.answer)
        self._done = recorded.seq
        if self._passing:
            self._let_pass(recorded.seq)

    def _let_pass(self, seq: int) -> None:
        for at, future in self._passing:
            if at <= seq and not future.done():
                future.set_result(None)
        self._passing = [(at, future) for at, future in self._passing if at > seq]

    def _answer(self, seq: int, answer: Answer) -> None:
        future = self._waiting.pop(seq, None)
        if future is not None:
            if not future.done():
                future.set_result(answer)
        elif answer is not None:
            self._answers[seq] = answer
            if len(self._answers) > ANSWERS_KEPT:
                self._answers.popitem(last=False)
