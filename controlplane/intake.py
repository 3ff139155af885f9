"""Tells when more comes in than one event loop answers in time, and whose call has to wait.

All work is done on one event loop, so the work of the calls that are under way is what the next one waits for. A burst
may wait; a queue that stands gets no shorter by waiting, so from then on only so much is under way at a time (Nichols
and Jacobson 2012, "Controlling Queue Delay", tell the two apart in the same way), and who asked for little lately goes
first. A call is under way from when it has come in to its answer, but for the time it waits for somebody outside.
"""

import asyncio
from math import exp

from .clock import Clock

BURST_S, BURST = 0.2, 64  # of work under way, and of calls of one turn of the loop, that are let in at any time
STANDING_S, OVER_S = 0.1, 0.25  # of work under way, of more calls than a burst, on average over time: a queue stands
QUEUE_S, MODEST_S = 0.02, 0.1  # of work that may be under way while there is one; for who asked for little, so much
CALM_S = 1.0  # without a refusal, after which the queue counts as gone
MEMORY_S = 0.1  # after which what somebody took counts half


class Intake:
    """What is under way, and who took how much lately. It is asked once for each call, when it has come in."""

    def __init__(self, clock: Clock) -> None:
        self.refused = 0
        self.shedding = False
        self._clock = clock
        self._turning = self._working = False
        self._taken_in = self._turn = 0  # calls of the next turn, and of this one
        self.under_way = self._waited = 0  # of the turns before; all when this one began
        self._began = self._refused_at = self._halved_at = 0.0
        self._ended = clock.monotonic()
        self._lately = (0.0, 0.0)  # seconds of work, and the calls it was done for
        self._standing_s = 0.0  # work under way, on average over time
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
            asyncio.get_running_loop().call_soon(self._turn_begins)
        return True

    def begin(self) -> None:
        """A call is worked on from here on, or again after it waited for somebody outside."""
        self.under_way += 1

    def end(self) -> None:
        """It is answered, or waits for somebody outside."""
        self.under_way -= 1

    @property
    def cost_s(self) -> float:
        """Of one call, as calls went lately."""
        work_s, calls = self._lately
        return work_s / calls if calls else 0.0

    def _fits(self, who: str) -> bool:
        work_s = (self.under_way + self._taken_in + 1) * self.cost_s
        if not self.shedding:
            return self._taken_in < BURST or work_s <= BURST_S
        fits = not self._taken_in or work_s <= (MODEST_S if self._modest(who) else QUEUE_S)
        if fits:
            self._shares[who] = self._shares.get(who, 0.0) + 1.0
        return fits

    def _modest(self, who: str) -> bool:
        """Whether it took less than half of what callers took lately on average."""
        return self._shares.get(who, 0.0) * 2 * len(self._shares) < sum(self._shares.values())

    def _turn_begins(self) -> None:
        """What was taken in is worked on from here on, until the loop looks for more or has found nothing."""
        self._began, self._working = self._clock.monotonic(), True
        self._turn, self._waited, self._taken_in = self._taken_in, self.under_way + self._taken_in, 0
        asyncio.get_running_loop().call_soon(self._turn_ends)

    def _worked(self) -> None:
        now, self._working = self._clock.monotonic(), False
        work_s, calls = self._lately
        rested, kept = exp(-(self._began - self._ended) / OVER_S), exp(-(now - self._began) / OVER_S)
        self._lately = work_s * rested * kept + now - self._began, calls * rested * kept + self._turn
        queue_s = self._waited * self.cost_s if self._waited > BURST else 0.0
        self._standing_s = self._standing_s * rested * kept + queue_s * (1.0 - kept)  # none stood before it came
        self._ended = now
        if not self.shedding and self._standing_s > STANDING_S:
            self.shedding, self._refused_at = True, now
        if self.shedding:
            self._forget(now)

    def _turn_ends(self) -> None:
        if self._working:
            self._worked()
        self._turning = bool(self._taken_in)
        if self._turning:
            self._turn_begins()

    def _forget(self, now: float) -> None:
        if now - self._halved_at > MEMORY_S:
            self._halved_at = now
            self._shares = {who: count / 2 for who, count in self._shares.items() if count > 0.5}
        if now - self._refused_at > CALM_S:
            self.shedding, self._shares = False, {}
