"""What a large replay asks of whatever works on its parts.

An engine answers in the order in which it was asked, so what is added up is added in the same order everywhere.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Protocol, TypeVar

Order = TypeVar("Order")
Answer = TypeVar("Answer")
Name = Literal["local", "process", "ray"]
TRIES = 3  # before workers that die are given up
AHEAD = 4  # orders for each core that are asked before they are answered: answers that wait take memory
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


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))
