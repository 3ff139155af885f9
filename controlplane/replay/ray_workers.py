"""Ray's workers, which is an extra of its own: `pip install 'pointsman[ray]'`."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from ..errors import PointsmanError, Unavailable, UnusableLog
from .engines import DIED, TRIES, Answer, Order, cores


class RayWorkers:
    """A Ray of this machine's own, on the loopback alone, for as long as it has work; where a worker dies, Ray asks
    another one."""

    def __init__(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before it is imported: it would tell its makers
        try:
            import ray
        except ImportError as error:
            raise UnusableLog("the engine `ray` needs Ray: pip install 'pointsman[ray]'") from error
        self._ray: Any = ray

    def __enter__(self) -> Self:
        self._ray.init(
            address="local",
            num_cpus=cores(),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            log_to_driver=False,
            configure_logging=False,
        )
        return self

    def __exit__(self, *failure: object) -> None:
        self._ray.shutdown()

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        asked, failures = self._ray.remote(max_retries=TRIES - 1)(work), self._ray.exceptions
        try:
            for answer in [asked.remote(order) for order in orders]:
                yield self._ray.get(answer)
        except failures.WorkerCrashedError as error:
            raise Unavailable(DIED) from error
        except failures.RayTaskError as error:
            raise error.cause if isinstance(error.cause, PointsmanError) else error from None
