"""Engines: here, in processes of this machine, or by Ray's workers."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Self

from ..errors import Unavailable
from .engine import AHEAD, DIED, TRIES, Answer, Engine, Name, Order, cores
from .ray_workers import RayWorkers


class Local:
    """One after the other, in this process."""

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        return map(work, orders)


class Processes:
    """A process for each core; where one dies, all that was not answered yet is asked again."""

    def __enter__(self) -> Self:
        self._pool = _pool()
        return self

    def __exit__(self, *failure: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        left, tries = deque(orders), 0
        asked: deque[tuple[Order, Future[Answer]]] = deque()
        while left or asked:
            try:
                while left and len(asked) < AHEAD * cores():
                    asked.append((left[0], self._pool.submit(work, left[0])))
                    left.popleft()
                answer = asked[0][1].result()
            except BrokenProcessPool as error:
                tries += 1
                if tries == TRIES:
                    raise Unavailable(DIED) from error
                self._pool.shutdown()
                self._pool = _pool()
                left.extendleft(order for order, _ in reversed(asked))
                asked.clear()
                continue
            asked.popleft()
            yield answer


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(cores(), get_context("spawn"))


def named(name: Name) -> AbstractContextManager[Engine]:
    """The engine of a name, for as long as it has work."""
    match name:
        case "local":
            return nullcontext(Local())
        case "process":
            return Processes()
        case "ray":
            return RayWorkers()
