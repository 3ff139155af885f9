"""How long an event may take, counted from the start of its process: the agent waits from there on.

Before a call it waits for nothing else, so an answer has 150 ms. After a call it waits too, but for a report that
would be lost; that one has longer. Where nobody listens either way ends at once: this machine refuses connections.
"""

import os
import signal
import time

ASKING_S = 0.135  # ending the process takes its part of 150 ms too
REPORTING_S = 1.0
READING_S = 0.05  # the least there is for reading an event: only then is known which kind it is
OLDEST_S = 3600.0  # a process that started longer ago was not started for this event


class Late(Exception):
    """The time for this event is over."""


def allow(limit_s: float) -> None:
    """Interrupt what is done by raising Late when the process is this old; at once if it is.

    Raises:
      Late: it is.
    """
    left_s = limit_s - age_s()
    if left_s <= 0:
        raise Late("starting on this busy machine took all the time there is; going on without")
    alarm(left_s)


def alarm(left_s: float) -> None:
    """Interrupt it after this time, over an earlier alarm."""
    signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, left_s)


def off() -> None:
    """From here on nothing is interrupted."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def age_s() -> float:
    """How long ago this process was started, up to one clock tick too much; where no system tells, its time at work."""
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()  # the name in parentheses may hold anything
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):  # no Linux, or not as we know it
        return time.process_time()
    return age if 0 <= age < OLDEST_S else time.process_time()


def _late(*_: object) -> None:
    raise Late
