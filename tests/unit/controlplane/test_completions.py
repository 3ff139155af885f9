"""Completions that are kept: one call for all who ask at once, bounded in bytes and time, and nothing that failed."""

import asyncio

import pytest

from controlplane.cache import MemoryCache
from controlplane.clock import FixedClock
from controlplane.llm.cache import LONGEST, MOST_BYTES, TTL_S, Completions, key_of
from controlplane.llm.provider import Json, ProviderFailed, Reply
from controlplane.telemetry import Metrics

ASKED: Json = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "temperature": 0}


def reply(text: str = "a", reason: str = "stop") -> Reply:
    return Reply(body={"text": text}, usage=None, finish_reason=reason, provider="p", model="m")


class Calls:
    """Calls to a provider, counted; they end when they are let go."""

    def __init__(self, answer: Reply | ProviderFailed) -> None:
        self.made, self.go = 0, asyncio.Event()
        self._answer = answer

    async def __call__(self) -> Reply:
        self.made += 1
        await self.go.wait()
        if isinstance(self._answer, ProviderFailed):
            raise self._answer
        return self._answer


def kept(clock: FixedClock | None = None, most_bytes: int = MOST_BYTES, ttl_s: float = TTL_S) -> Completions:
    return Completions(MemoryCache(clock or FixedClock(), most_bytes, ttl_s), Metrics())


async def test_who_asks_the_same_at_once_is_answered_by_one_call() -> None:
    completions, calls = kept(), Calls(reply())
    waiting = [asyncio.create_task(completions.once(b"k", calls)) for _ in range(10)]
    await asyncio.sleep(0.01)
    calls.go.set()
    answers = await asyncio.gather(*waiting)
    assert calls.made == 1
    assert sorted(answer.kept for answer in answers) == [False] + [True] * 9
    assert {str(answer.reply.body) for answer in answers} == {"{'text': 'a'}"}


async def test_a_call_that_failed_is_told_to_all_who_waited_and_kept_for_nobody() -> None:
    completions, calls = kept(), Calls(ProviderFailed("timeout"))
    waiting = [asyncio.create_task(completions.once(b"k", calls)) for _ in range(3)]
    await asyncio.sleep(0.01)
    calls.go.set()
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(failure) for failure in failures] == [ProviderFailed] * 3
    with pytest.raises(ProviderFailed):
        await completions.once(b"k", calls)
    assert (calls.made, completions.size) == (2, 0)


async def test_an_answer_that_was_broken_off_is_not_kept() -> None:
    completions, calls = kept(), Calls(reply(reason="length"))
    calls.go.set()
    assert [(await completions.once(b"k", calls)).kept for _ in range(2)] == [False, False]


async def test_what_was_not_asked_for_the_longest_goes_first_when_bytes_run_out() -> None:
    completions, calls = kept(most_bytes=1000), Calls(reply("x" * 300))
    calls.go.set()
    for key in (b"a", b"b", b"a", b"c"):
        await completions.once(key, calls)
        assert completions.size <= 1000
    assert [(await completions.once(key, calls)).kept for key in (b"a", b"c", b"b")] == [True, True, False]


async def test_what_is_larger_than_the_room_is_answered_and_not_kept() -> None:
    completions, calls = kept(most_bytes=100), Calls(reply("x" * 300))
    calls.go.set()
    assert [(await completions.once(b"k", calls)).kept for _ in range(2)] == [False, False]
    assert completions.size == 0


async def test_after_its_time_an_answer_is_asked_for_again() -> None:
    clock = FixedClock()
    completions, calls = kept(clock, ttl_s=60.0), Calls(reply())
    calls.go.set()
    found = []
    for seconds in (0.0, 59.0, 2.0):
        clock.advance(seconds)
        found.append((await completions.once(b"k", calls)).kept)
    assert found == [False, True, False]


async def test_what_another_version_kept_in_another_form_is_asked_for_again() -> None:
    cache, calls = MemoryCache(FixedClock(), MOST_BYTES, TTL_S), Calls(reply())
    await cache.put(b"k", b"\x81\xa4text\xa1a")
    calls.go.set()
    completions = Completions(cache, Metrics())
    assert [(await completions.once(b"k", calls)).kept for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.1},
        {"temperature": None},
        {"stream": True},
        {"messages": ASKED["messages"] * (LONGEST + 1)},
    ],
    ids=str,
)
def test_what_may_be_answered_otherwise_or_is_long_or_streamed_is_not_kept(change: Json) -> None:
    assert key_of("t", "m", ASKED) is not None
    assert key_of("t", "m", {**ASKED, **change}) is None


def test_a_seed_asks_for_the_same_answer_at_any_temperature() -> None:
    assert key_of("t", "m", {**ASKED, "temperature": 1, "seed": 0}) is not None


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"tools": []}, {"top_k": 1}, {"messages": [{"role": "user"}]}], ids=str
)
def test_whatever_may_change_an_answer_is_part_of_its_key(change: Json) -> None:
    assert key_of("t", "m", {**ASKED, **change}) != key_of("t", "m", ASKED)


def test_a_key_is_of_one_tenant_and_one_model_and_not_of_who_asks() -> None:
    assert len({key_of(tenant, model, ASKED) for tenant in "tu" for model in "mn"}) == 4
    assert key_of("t", "m", {**ASKED, "user": "u", "metadata": {"a": "b"}}) == key_of("t", "m", ASKED)
