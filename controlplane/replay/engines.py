"""Where the parts of a large replay are worked on: here, in processes of this machine, or by Ray's workers.

An engine answers in the order in which it was asked, so what is added up is added in the same order everywhere.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from typing import Literal, Protocol, Self, TypeVar

from ..errors import Unavailable

Order = TypeVar("Order")
Answer = TypeVar("Answer")
Name = Literal["local", "process", "ray"]
TRIES = 3  # before workers that die are given up
DIED = "workers died again and again; they may want more memory than there is: replay fewer files, or with fewer cores"


class Engine(Protocol):
    """Works on orders that know nothing of each other."""

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        """The answers, in the order of what was asked.

        Raises:
          Unavailable: workers died again and again.
          PointsmanError: the work says so.
        """
        ...


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


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def named(name: Name) -> AbstractContextManager[Engine]:
    """The engine of a name, for as long as it has work.

    Raises:
      UnusableLog: its extra is not installed.
    """
    if name == "ray":
        from .ray_workers import RayWorkers

        return RayWorkers()
    return nullcontext(Local()) if name == "local" else Processes()
