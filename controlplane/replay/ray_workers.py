"""Ray's workers, which is an extra of its own: `pip install 'pointsman[ray]'`."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from tempfile import TemporaryDirectory
from typing import Any, Self

from ..errors import PointsmanError, Unavailable, UnusableLog
from .engine import AHEAD, DIED, TRIES, Answer, Order, cores

ENVIRONMENT = {  # read when Ray is imported
    "RAY_USAGE_STATS_ENABLED": "0",  # else it tells its makers
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else it takes the machine's address in place of the loopback
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": os.urandom(32).hex(),
}
FAILED = "Ray itself failed ({}), as where the machine has no memory left; replay again, or with --engine process"
SHORT = "/tmp"  # Ray's sockets lie below it, and a socket's path has 107 bytes at most


class RayWorkers:
    """A Ray of this machine's own, on the loopback alone, for as long as it has work. Where a worker dies, Ray asks
    another one.

    It writes to a folder of its own, which goes with it, and takes orders with a token of this process alone: Ray's own
    lies in the home folder, where everybody on the machine can read it.
    """

    def __enter__(self) -> Self:
        os.environ |= ENVIRONMENT
        self._ray = _ray()
        with ExitStack() as begun:
            folder = begun.enter_context(TemporaryDirectory(prefix=f"pointsman-{os.getpid()}-", dir=SHORT))
            begun.callback(self._ray.shutdown)
            self._ray.init(
                address="local",
                num_cpus=cores(),
                include_dashboard=False,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
                log_to_driver=False,
                configure_logging=False,
            )
            self._end = begun.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._end.close()

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        asked, failures = self._ray.remote(max_retries=TRIES - 1)(_worked), self._ray.exceptions
        waiting: deque[Any] = deque()
        try:
            for order in orders:
                waiting.append(asked.remote(work, order))
                if len(waiting) == AHEAD * cores():
                    yield self._ray.get(waiting.popleft())
            while waiting:
                yield self._ray.get(waiting.popleft())
        except failures.WorkerCrashedError as error:
            raise Unavailable(DIED) from error
        except failures.RayTaskError as error:
            raise error.cause if isinstance(error.cause, PointsmanError) else error from None
        except failures.RayError as error:  # of its own processes, whose words tell of Ray and of no way on
            raise Unavailable(FAILED.format(type(error).__name__)) from error


def _worked(work: Callable[[Order], Answer], order: Order) -> Answer:
    return work(order)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UnusableLog("the engine `ray` needs Ray: pip install 'pointsman[ray]'") from error
    return ray
