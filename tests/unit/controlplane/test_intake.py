"""A burst is let in, a queue that stands is not: beyond some milliseconds of work, calls are refused at once."""

import asyncio

from controlplane.clock import FixedClock
from controlplane.intake import BURST, BURST_S, CALM_S, OVER_S, QUEUE_S, Intake

COST_S = 0.001  # of one call
ALL_OF_THEM = 5.0  # times what can be answered


class Server:
    """A server whose work is to move its clock: every admitted call costs so much, and is answered at the next turn."""

    def __init__(self, cost_s: float = COST_S) -> None:
        self.cost_s = cost_s
        self.clock = FixedClock()
        self.intake = Intake(self.clock)
        self.began = self.clock.monotonic()

    async def turn(self, calls: dict[str, int]) -> dict[str, int]:
        """One turn of the loop: so many calls of each tenant come in; how many of each are let in."""
        admitted = dict.fromkeys(calls, 0)
        for who, times in calls.items():
            for _ in range(times):
                if self.intake.admit(who):
                    admitted[who] += 1
                    asyncio.get_running_loop().call_soon(self.work)
        await asyncio.sleep(0)
        return admitted

    def work(self) -> None:
        self.intake.begin()
        self.clock.advance(self.cost_s)
        asyncio.get_running_loop().call_soon(self.intake.end)

    async def offered(self, rates: dict[str, float], seconds: float) -> dict[str, tuple[int, int]]:
        """Calls at fixed rates whatever the answers are: (admitted, refused) of each."""
        counts = dict.fromkeys(rates, (0, 0))
        until = self.clock.monotonic() + seconds
        due = dict.fromkeys(rates, 0.0)
        before = self.clock.monotonic()
        while self.clock.monotonic() < until:
            now = self.clock.monotonic()
            for who, rate in rates.items():
                due[who] += rate * (now - before)
            before = now
            calls = {who: int(due[who]) for who in rates}
            admitted = await self.turn(calls)
            for who in rates:
                due[who] -= calls[who]
                let_in, refused = counts[who]
                counts[who] = let_in + admitted[who], refused + calls[who] - admitted[who]
            self.clock.advance(0.0001)  # looking for more
        return counts


async def test_nobody_is_refused_below_what_can_be_answered() -> None:
    server = Server()
    counts = await server.offered({"a": 0.7 / COST_S}, seconds=20)
    assert counts["a"][1] == 0
    assert not server.intake.shedding


async def test_a_burst_is_let_in() -> None:
    server = Server()
    await server.offered({"a": 100}, seconds=5)
    burst = int(0.8 * BURST_S / COST_S)
    assert burst > BURST
    assert await server.turn({"a": burst}) == {"a": burst}
    assert not server.intake.shedding


async def test_a_burst_after_a_rest_did_not_stand_while_nobody_came() -> None:
    server = Server()
    await server.offered({"a": 100}, seconds=5)
    server.clock.advance(60)
    await server.turn({"a": 2 * BURST})
    await server.turn({})  # it is answered
    assert not server.intake.shedding


async def test_what_would_wait_longer_than_a_burst_is_refused_at_once() -> None:
    server = Server()
    await server.offered({"a": 100}, seconds=5)
    admitted = await server.turn({"a": 10_000})
    assert admitted["a"] <= BURST_S / COST_S
    assert server.intake.refused == 10_000 - admitted["a"]


async def test_under_a_standing_overload_the_queue_is_short_and_little_is_lost() -> None:
    server = Server()
    await server.offered({"a": ALL_OF_THEM / COST_S}, seconds=2 * OVER_S)
    assert server.intake.shedding
    for _ in range(100):
        before = server.clock.monotonic()
        await server.turn({"a": 1000})
        assert server.clock.monotonic() - before <= QUEUE_S + COST_S
    counts = await server.offered({"a": ALL_OF_THEM / COST_S}, seconds=10)
    assert counts["a"][0] * COST_S > 0.9 * 10


async def test_calls_that_take_turns_are_no_queue_however_much_each_costs() -> None:
    server = Server(cost_s=10 * COST_S)
    for _ in range(100):
        assert await server.turn({"a": BURST // 2}) == {"a": BURST // 2}
        assert not server.intake.shedding


async def test_when_it_is_over_everybody_is_let_in_again() -> None:
    server = Server()
    await server.offered({"a": ALL_OF_THEM / COST_S}, seconds=2 * OVER_S)
    assert server.intake.shedding
    await server.offered({"a": 0.3 / COST_S}, seconds=2 * CALM_S)
    assert not server.intake.shedding
    counts = await server.offered({"a": 0.7 / COST_S}, seconds=10)
    assert counts["a"][1] == 0


async def test_who_asks_for_little_pays_nothing_for_who_asks_for_much() -> None:
    server = Server()
    quiet = {f"quiet-{i}": 0.02 / COST_S for i in range(9)}
    await server.offered({"loud": ALL_OF_THEM / COST_S, **quiet}, seconds=2 * OVER_S)
    counts = await server.offered({"loud": ALL_OF_THEM / COST_S, **quiet}, seconds=10)
    assert counts["loud"][1] > counts["loud"][0]
    assert [counts[who][1] for who in quiet] == [0] * len(quiet)
