"""Tells when more comes in than one event loop answers in time, and whose call has to wait.

All work is done on one event loop, so how long a turn of it takes is how long a call waits. A burst may wait; a queue
that stands gets no shorter by waiting, so from then on each turn takes in only so much (Nichols and Jacobson 2012,
"Controlling Queue Delay", tell the two apart in the same way), and who asked for little lately goes first.
"""

import asyncio
from math import exp

from .clock import Clock

BURST_S, BURST = 0.06, 16  # of work, and of calls, that a turn may take in at any time
STANDING_S, OVER_S = 0.04, 0.5  # turns that are so long on average over that time are a queue that stands
TURN_S, MODEST_S = 0.002, 0.02  # of work that a turn takes in while there is one; from who asked for little, so much
CALM_S = 1.0  # without a refusal, after which the queue counts as gone
MEMORY_S = 0.1  # after which what somebody took counts half
WEIGHT = 0.2  # of the newest turn in what a call is thought to cost


class Intake:
    """What each turn takes in, and who took how much lately. It is asked once for each call, when it has come in."""

    def __init__(self, clock: Clock) -> None:
        self.refused = 0
        self.shedding = False
        self._clock = clock
        self._turning = self._working = False
        self._taken_in = self._calls = 0  # of the next turn, and of this one
        self._began = self._refused_at = self._halved_at = 0.0
        self._ended = clock.monotonic()
        self._usual_s = 0.0  # length of a turn, each counted by how long it took
        self._cost_s = 0.0  # of one call
        self._shares: dict[str, float] = {}

    def admit(self, who: str) -> bool:
        """Whether the call may go on."""
        if self._working:
            self._worked()
        if not self._fits(who):
            self.refused += 1
            self._refused_at = self._clock.monotonic()
            return False
        self._taken_in += 1
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._begin)
        return True

    def _fits(self, who: str) -> bool:
        work_s = (self._taken_in + 1) * self._cost_s
        if not self.shedding:
            return self._taken_in < BURST or work_s <= BURST_S
        fits = not self._taken_in or work_s <= (MODEST_S if self._modest(who) else TURN_S)
        if fits:
            self._shares[who] = self._shares.get(who, 0.0) + 1.0
        return fits

    def _modest(self, who: str) -> bool:
        """Whether it took less than half of what callers took lately on average."""
        return self._shares.get(who, 0.0) * 2 * len(self._shares) < sum(self._shares.values())

    def _begin(self) -> None:
        """What was taken in is worked on from here on, until the loop looks for more or has found nothing."""
        self._began, self._working = self._clock.monotonic(), True
        self._calls, self._taken_in = self._taken_in, 0
        asyncio.get_running_loop().call_soon(self._end)

    def _worked(self) -> None:
        now, self._working = self._clock.monotonic(), False
        length = now - self._began
        self._cost_s += WEIGHT * (length / self._calls - self._cost_s)
        idle, counted = self._began - self._ended, min(length, BURST_S)
        self._usual_s *= exp(-idle / OVER_S)
        self._usual_s += (1.0 - exp(-counted / OVER_S)) * (counted - self._usual_s)
        self._ended = now
        if not self.shedding and self._usual_s > STANDING_S:
            self.shedding, self._refused_at = True, now
        if self.shedding:
            self._forget(now)

    def _end(self) -> None:
        if self._working:
            self._worked()
        self._turning = bool(self._taken_in)
        if self._turning:
            self._begin()

    def _forget(self, now: float) -> None:
        if now - self._halved_at > MEMORY_S:
            self._halved_at = now
            self._shares = {who: count / 2 for who, count in self._shares.items() if count > 0.5}
        if now - self._refused_at > CALM_S:
            self.shedding, self._shares = False, {}
