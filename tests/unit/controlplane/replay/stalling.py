"""Work at which a worker dies: its first try waits to be killed, the next one does what was asked."""

import os
import signal
import time

from controlplane.replay.shards import Shard, estimate
from strategist.evaluation import Tally

WAIT_S = 60.0


def stalled(shard: Shard) -> dict[int, Tally]:
    """The tally of a shard; the first of all shards to be tried notes its process and waits."""
    note = shard.file.parents[3] / "worker.pid"
    try:
        descriptor = os.open(note, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return estimate(shard)
    os.write(descriptor, b"%d\n" % os.getpid())
    os.close(descriptor)
    time.sleep(WAIT_S)
    raise TimeoutError("nobody killed it")


def dying(order: object) -> None:
    """The worker dies, whatever was asked."""
    os.kill(os.getpid(), signal.SIGKILL)
