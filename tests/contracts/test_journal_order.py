"""Both journals: events have one order, without gaps, and readers see all of it once."""

import asyncio
import random
from collections.abc import Callable

import pytest

from auditor.events import WindowClosed
from controlplane.journal import Journal
from controlplane.journal.port import MOST
from controlplane.journal.tail import KEPT

Make = Callable[[str], WindowClosed]


async def test_the_first_event_of_a_journal_has_number_one(journal: Journal, closed: Make) -> None:
    assert journal.last_seq == 0
    assert await journal.append(closed("tr_a")) == 1
    assert journal.last_seq == 1


async def test_an_append_answers_the_number_of_its_first_event(journal: Journal, closed: Make) -> None:
    assert await journal.append(closed("a"), closed("b"), closed("c")) == 1
    assert await journal.append(closed("d"), closed("e")) == 4
    assert [r.seq for r in await journal.read(0, 100)] == [1, 2, 3, 4, 5]
    assert [r.event.ref for r in await journal.read(0, 100)] == ["a", "b", "c", "d", "e"]


async def test_concurrent_appends_get_contiguous_numbers_and_keep_their_groups(
    journal: Journal, closed: Make, seed: int
) -> None:
    rng = random.Random(seed)
    sizes = [rng.randint(1, 5) for _ in range(400)]
    firsts = await asyncio.gather(
        *(journal.append(*(closed(f"g{group}.{i}") for i in range(size))) for group, size in enumerate(sizes))
    )
    rows = await journal.read(0, sum(sizes) + 10)
    assert [r.seq for r in rows] == list(range(1, sum(sizes) + 1))
    by_seq = {r.seq: r.event.ref for r in rows}
    for group, (first, size) in enumerate(zip(firsts, sizes, strict=True)):
        assert [by_seq[first + i] for i in range(size)] == [f"g{group}.{i}" for i in range(size)]


async def test_appends_made_in_order_are_numbered_in_order(journal: Journal, closed: Make) -> None:
    firsts = await asyncio.gather(*(journal.append(closed(f"t{i}")) for i in range(300)))
    assert firsts == sorted(firsts)


async def test_what_is_acknowledged_can_be_read_at_once(journal: Journal, closed: Make) -> None:
    for i in range(20):
        seq = await journal.append(closed(f"t{i}"))
        assert journal.last_seq >= seq
        assert [r.event.ref for r in await journal.read(seq - 1, 1)] == [f"t{i}"]


async def test_an_append_holds_something_and_not_too_much(journal: Journal, closed: Make) -> None:
    for wrong in (0, MOST + 1):
        with pytest.raises(ValueError, match=f"not {wrong}"):
            await journal.append(*(closed("x") for _ in range(wrong)))
    assert journal.last_seq == 0
    assert await journal.append(*(closed("x") for _ in range(MOST))) == 1
    assert journal.last_seq == MOST


async def test_committed_waits_until_there_is_something(journal: Journal, closed: Make) -> None:
    waiting = asyncio.create_task(_committed(journal, 0))
    for _ in range(50):
        await asyncio.sleep(0)
    assert not waiting.done()
    await journal.append(closed("first"))
    assert [r.event.ref for r in await waiting] == ["first"]


async def test_committed_wakes_every_consumer(journal: Journal, closed: Make) -> None:
    await journal.append(closed("past"))
    waiting = [asyncio.create_task(_committed(journal, 1)) for _ in range(5)]
    await asyncio.sleep(0)
    await journal.append(closed("news"))
    assert [[r.event.ref for r in seen] for seen in await asyncio.gather(*waiting)] == [["news"]] * 5


async def test_a_consumer_neither_skips_nor_repeats_under_concurrent_appends(journal: Journal, closed: Make) -> None:
    total, seen = 1500, []

    async def consume() -> None:
        while len(seen) < total:
            seen.extend(r.seq for r in await journal.committed(seen[-1] if seen else 0))

    async def produce(rng: random.Random, count: int) -> None:
        for _ in range(count):
            await journal.append(closed("x"))
            if rng.random() < 0.3:
                await asyncio.sleep(0)

    await asyncio.gather(
        consume(), consume_slowly(journal, total), *(produce(random.Random(i), 150) for i in range(10))
    )
    assert seen == list(range(1, total + 1))


async def consume_slowly(journal: Journal, total: int) -> None:
    """A second consumer with gaps of its own sees the same."""
    after = 0
    while after < total:
        seqs = [r.seq for r in await journal.committed(after)]
        assert seqs == list(range(after + 1, after + 1 + len(seqs)))
        after = seqs[-1]
        await asyncio.sleep(0)


@pytest.mark.parametrize("after", [0, 1, 500, KEPT, KEPT + 899])
async def test_a_consumer_that_fell_behind_the_tail_is_given_everything(
    journal: Journal, closed: Make, after: int
) -> None:
    total = KEPT + 900  # more than the window that is kept at hand
    for start in range(0, total, 500):
        await journal.append(*(closed(f"t{i}") for i in range(start, min(start + 500, total))))
    seen: list[tuple[int, str]] = []
    while (reached := seen[-1][0] if seen else after) < total:
        seen += [(r.seq, r.event.ref) for r in await journal.committed(reached)]
    assert seen == [(i + 1, f"t{i}") for i in range(after, total)]


async def _committed(journal: Journal, after: int) -> list[object]:
    return list(await journal.committed(after))
