"""Engines: here, in processes of this machine, or by Ray's workers."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Self

from ..errors import Unavailable
from .engine import DIED, TRIES, Answer, Engine, Name, Order, cores
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
        answered, tries = 0, 0
        while answered < len(orders):
            try:
                for asked in [self._pool.submit(work, order) for order in orders[answered:]]:
                    answer = asked.result()
                    answered += 1
                    yield answer
            except BrokenProcessPool as error:
                tries += 1
                if tries == TRIES:
                    raise Unavailable(DIED) from error
                self._pool.shutdown()
                self._pool = _pool()


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
