"""Retries, fallbacks, breaker and retry budget, worked by hand on a clock and dice that are told."""

import random
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.clock import FixedClock, SystemClock
from controlplane.llm.breaker import IN_A_ROW, LONGEST_PAUSE_S, PAUSE_S
from controlplane.llm.provider import SAID, Call, Json, Kind, Provider, ProviderFailed, Reply, Route, Usage
from controlplane.llm.resilience import RETRY_SHARE, SAVED_UP, TRIES, Resilience

from .conftest import DRAWN, Upstream, call

BODY: Json = {"messages": []}
WELL = Reply(body={"choices": []}, usage=Usage(prompt=1, completion=1), finish_reason="stop", provider="?", model="?")


def down(kind: Kind = "status", *, retryable: bool = True, **more: Any) -> ProviderFailed:
    return ProviderFailed(kind, "p", retryable=retryable, **more)


class Scripted:
    """A provider that ends its calls as it is told, and then answers well; each takes some time."""

    def __init__(self, name: str, world: "World", *ends: ProviderFailed) -> None:
        self.name, self.world, self.ends, self.takes_s = name, world, list(ends), 0.0
        self.always: ProviderFailed | None = None

    def _asked(self, call: Call) -> None:
        self.world.asked.append((self.name, call.model, round(call.deadline_s, 3)))
        self.world.clock.advance(self.takes_s)
        failure = self.ends.pop(0) if self.ends else self.always
        if failure is not None:
            raise failure

    async def complete(self, call: Call) -> Reply:
        self._asked(call)
        return WELL

    async def stream(self, call: Call) -> AsyncGenerator[Json | Reply, None]:
        self._asked(call)
        yield {"choices": []}
        if call.model == "breaks":
            raise down("cut_stream")
        yield WELL


class World:
    """Two providers, a clock that sleeping moves, and dice that always show one half."""

    def __init__(self, draw: Any = lambda: 0.5) -> None:
        self.clock, self.asked, self.slept = FixedClock(0.0), list[tuple[str, str, float]](), list[float]()
        self.a, self.b = Scripted("a", self), Scripted("b", self)
        self.resilience = Resilience({"a": self.a, "b": self.b}, self.clock, draw, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock.advance(seconds)

    async def ask(self, *routes: str, deadline_s: float = 60.0) -> Reply:
        return await self.resilience.complete([Route(name, "m") for name in routes], BODY, deadline_s)

    @property
    def order(self) -> str:
        return "".join(name for name, *_ in self.asked)


async def test_a_failure_is_tried_again_after_pauses_that_double_and_three_tries_are_all() -> None:
    world = World()
    world.a.always = down()
    with pytest.raises(ProviderFailed) as failed:
        await world.ask("a")
    assert world.slept == [0.15, 0.25]
    assert (world.order, failed.value) == ("aaa", world.a.always)
    assert [left for *_, left in world.asked] == [60.0, 59.85, 59.6], "one deadline for all of them"


@pytest.mark.parametrize(("routes", "order"), [("a", "aaa"), ("ab", "aab"), ("abab", "aba"), ("aba", "aba")])
async def test_every_other_route_has_its_try_before_one_has_its_third(routes: str, order: str) -> None:
    world = World()
    world.a.always = world.b.always = down()
    with pytest.raises(ProviderFailed):
        await world.ask(*routes)
    assert world.order == order


async def test_p1_retry_after_is_waited_for_where_the_deadline_allows() -> None:
    world = World()
    world.a.ends = [down("rate_limit", retry_after_s=7.0)]
    await world.ask("a")
    assert world.slept == [7.05]


async def test_p1_a_retry_after_beyond_the_deadline_is_no_wait_but_the_next_route() -> None:
    world = World()
    world.a.always = down("rate_limit", retry_after_s=61.0)
    await world.ask("a", "b")
    assert (world.order, world.slept) == ("ab", [])
    with pytest.raises(ProviderFailed):
        await world.ask("a")
    assert world.slept == [], "nobody waits for what cannot come in time"


async def test_p1_nothing_is_tried_when_the_deadline_is_over() -> None:
    world = World()
    world.a.takes_s, world.a.always = 3.0, down("timeout")
    with pytest.raises(ProviderFailed):
        await world.ask("a", "b", deadline_s=3.0)
    assert (world.order, world.clock.now()) == ("a", 3.0)


@pytest.mark.parametrize("kind", ["auth", "spend_limit"])
@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_p2_what_a_second_try_cannot_change_is_not_tried_there_again(kind: Kind, status: int) -> None:
    world = World()
    world.a.always = down(kind, retryable=False, status=status)
    await world.ask("a", "a", "b")
    assert (world.order, world.slept) == ("ab", [])


@pytest.mark.parametrize(
    ("kind", "status", "out"), [("auth", 401, True), ("spend_limit", 402, True), ("auth", 403, False)]
)
async def test_p2_a_provider_that_takes_no_key_is_out_but_one_that_dislikes_a_call_is_not(
    kind: Kind, status: int, out: bool
) -> None:
    world = World()
    world.a.ends = [down(kind, retryable=False, status=status)]
    await world.ask("a", "b")
    assert world.resilience.breakers["a"].why == (kind if out else None)
    await world.ask("a", "b")
    assert world.order == ("abb" if out else "aba")


async def test_p2_a_call_that_is_wrong_is_asked_once_and_nowhere_else() -> None:
    world = World()
    world.a.always = down("bad_request", retryable=False, status=400)
    for _ in range(2 * IN_A_ROW):
        with pytest.raises(ProviderFailed):
            await world.ask("a", "b")
    assert world.order == "a" * 2 * IN_A_ROW, "and it is no fault of the provider's"


async def test_a_breaker_opens_asks_once_and_closes() -> None:
    world = World()
    world.a.always = down("status", retryable=False)
    for _ in range(IN_A_ROW + 1):
        with pytest.raises(ProviderFailed) as failed:
            await world.ask("a")
    assert failed.value.kind == "breaker_open"
    assert (len(world.asked), failed.value.billed) == (IN_A_ROW, False)
    world.clock.advance(PAUSE_S * 1.5 - 0.1)
    with pytest.raises(ProviderFailed, match="left alone"):
        await world.ask("a")
    world.clock.advance(0.2)
    with pytest.raises(ProviderFailed, match="error of its own"):
        await world.ask("a")
    world.a.always = None
    world.clock.advance(2 * PAUSE_S * 1.5 - 0.1)
    with pytest.raises(ProviderFailed, match="left alone"):
        await world.ask("a")
    world.clock.advance(0.2)
    for _ in range(2):
        await world.ask("a")
    assert world.resilience.breakers["a"].why is None


def test_only_one_call_asks_whether_a_provider_is_back() -> None:
    world = World()
    breaker = world.resilience.breakers["a"]
    breaker.failed(down("auth", status=401), 60.0)
    world.clock.advance(LONGEST_PAUSE_S)
    assert breaker.lets_through
    breaker.begin()
    assert not breaker.lets_through
    breaker.left()
    assert breaker.lets_through, "whoever asked and left keeps nobody out"


@pytest.mark.parametrize("kind", sorted(SAID))
@pytest.mark.parametrize("granted_s", [0.5, 5.0])
def test_a_breaker_counts_what_is_the_providers_fault(kind: Kind, granted_s: float) -> None:
    """A deadline too short for any answer is the caller's own, or a caller could take a provider from all others."""
    breaker = World().resilience.breakers["a"]
    for _ in range(IN_A_ROW):
        breaker.failed(down(kind, status=500), granted_s)
    innocent = {"rate_limit", "bad_request", "breaker_open"} | ({"timeout"} if granted_s < 1 else set())
    assert (breaker.why is None) == (kind in innocent)


async def test_further_tries_are_a_tenth_of_the_calls() -> None:
    world = World()
    world.a.always = down("rate_limit")
    for _ in range(1000):
        with pytest.raises(ProviderFailed):
            await world.ask("a")
    further = len(world.asked) - 1000
    assert 1000 * RETRY_SHARE <= further + 1 <= 1000 * RETRY_SHARE + SAVED_UP + 1


async def test_a_stream_that_has_begun_is_not_begun_again() -> None:
    world = World()
    world.a.ends = [down()]
    stream = world.resilience.stream([Route("a", "breaks"), Route("b", "m")], BODY, 60.0)
    assert await anext(stream) == {"choices": []}
    with pytest.raises(ProviderFailed, match="middle of its answer"):
        await anext(stream)
    assert world.order == "aa"


async def test_a_stream_falls_back_until_it_begins() -> None:
    world = World()
    world.a.always = down()
    got = [piece async for piece in world.resilience.stream([Route("a", "m"), Route("b", "m")], BODY, 60.0)]
    assert (world.order, got) == ("aab", [{"choices": []}, WELL])


THEN: list[tuple[dict[str, Any], int]] = [
    ({"status": 503}, 3),
    ({"status": 529}, 3),
    ({"fault": "reset"}, 3),
    ({"status": 401}, 1),
    ({"status": 400}, 1),
]


@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_over_real_sockets_a_provider_sees_three_tries_at_most(upstream: Upstream, way: str, seed: int) -> None:
    providers: dict[str, Provider] = {"acme": upstream.provider}
    routes, body = [Route("acme", "m-1"), Route("acme", "m-2")], call().body
    for then, asked in THEN:
        upstream.always(**then)
        resilience = Resilience(providers, SystemClock(), random.Random(seed).random, _at_once)
        ways = {"whole": resilience.complete, "stream": lambda *given, by=resilience: anext(by.stream(*given))}
        with pytest.raises(ProviderFailed):
            await ways[way](routes, body, 30.0)
        assert (then, upstream.fake.playing.bill.calls) == (then, asked)


async def _at_once(seconds: float) -> None:
    """Waiting is not what is tested here."""


async def test_p7_after_an_outage_of_ten_minutes_a_provider_is_asked_by_one_call_at_a_time() -> None:
    """A thousand calls a minute go on against a provider that is down: a handful reaches it, and none after it is back
    is lost."""
    world = World(random.Random(3).random)
    world.a.always = down("connect")
    for _ in range(10_000):
        world.clock.advance(0.06)
        with pytest.raises(ProviderFailed):
            await world.ask("a")
    assert len(world.asked) < 30
    world.a.always = None
    world.clock.advance(2 * LONGEST_PAUSE_S)
    world.asked.clear()
    for _ in range(100):
        await world.ask("a")
    assert len(world.asked) == 100


KINDS = st.sampled_from(sorted(SAID))
ENDS = st.lists(
    st.none()
    | st.builds(
        down,
        KINDS,
        retryable=st.booleans(),
        status=st.sampled_from([None, 401, 403, 429, 500]),
        retry_after_s=st.none() | st.floats(0, 100),
    ),
    max_size=40,
)


@DRAWN
@given(ENDS, st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5), st.floats(0.01, 100), st.integers())
async def test_whatever_happens_a_call_keeps_its_bounds_and_ends_the_same_way_again(
    ends: list[ProviderFailed | None], routes: list[str], deadline_s: float, seed: int
) -> None:
    told: list[list[Any]] = []
    for _ in range(2):
        world, left = World(random.Random(seed).random), list(ends)
        told.append([])
        while left:
            taken = [left.pop(0) for _ in range(min(TRIES, len(left)))]
            world.a.ends = world.b.ends = [end for end in taken if end is not None]
            before, began = len(world.asked), world.clock.now()
            try:
                await world.ask(*routes, deadline_s=deadline_s)
            except ProviderFailed as failed:
                told[-1].append(failed.kind)
            assert len(world.asked) - before <= TRIES
            assert world.clock.now() - began <= deadline_s
            world.clock.advance(1.0)
        told[-1] += [world.asked, world.slept]
    assert told[0] == told[1]
