"""PostgreSQL's journal, with more than one replica on it: one order for all, nothing lost, nothing twice."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from auditor import Learned
from auditor.events import Answered, Received, WindowClosed
from benchmarks.services import Postgres, running
from controlplane.clock import FixedClock, SystemClock
from controlplane.errors import InFlight, JournalUnavailable, LeaseLost
from controlplane.journal import acting_for_all
from controlplane.journal.postgres import PostgresJournal
from controlplane.journal.postgres.database import PART, QUERIES
from controlplane.journal.postgres.lease import LEASE_S, RENEW_S

Make = Callable[[str], WindowClosed]
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass"
NEXT_MONTH = "SELECT begin_month('2100-01-01')"


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[tuple[PostgresJournal, PostgresJournal]]:
    """Two replicas' journals on one database."""
    opened = [await PostgresJournal.open(database_url, SystemClock(), name) for name in ("a", "b")]
    yield opened[0], opened[1]
    for journal in opened:
        await journal.close()


async def refs(journal: PostgresJournal) -> list[str]:
    return [recorded.event.ref for recorded in await journal.read(0, 10_000)]


async def read_up_to(journal: PostgresJournal, seq: int) -> list[int]:
    """What one consumer is given, in the order it is given."""
    seen: list[int] = []
    while (after := seen[-1] if seen else 0) < seq:
        seen += [recorded.seq for recorded in await journal.committed(after)]
    return seen


async def test_replicas_write_one_log_and_each_reads_all_of_it_once(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make, seed: int
) -> None:
    rng = random.Random(seed)
    sizes = [rng.randint(1, 4) for _ in range(300)]
    reading = [asyncio.create_task(read_up_to(journal, sum(sizes))) for journal in two]
    firsts = await asyncio.gather(
        *(two[n % 2].append(*(closed(f"{n}.{i}") for i in range(size))) for n, size in enumerate(sizes))
    )
    log = await refs(two[0])
    assert log == await refs(two[1])
    for n, (first, size) in enumerate(zip(firsts, sizes, strict=True)):
        assert log[first - 1 : first - 1 + size] == [f"{n}.{i}" for i in range(size)], "an append stays together"
    assert await asyncio.gather(*reading) == [list(range(1, sum(sizes) + 1))] * 2


async def test_a_transaction_that_commits_late_is_waited_for_and_never_skipped(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make, database_url: str
) -> None:
    late = await asyncpg.connect(database_url, server_settings={"pointsman.tenant": "*"})
    holding = late.transaction()
    await holding.start()
    await late.execute("UPDATE head SET seq = seq + 1")  # it has number 1, and has not committed
    waiting = asyncio.create_task(_append(two[0], closed("after it")))
    seen = asyncio.create_task(read_up_to(two[1], 2))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    assert two[1].last_seq == 0
    await late.execute(
        "INSERT INTO events SELECT 1, month, tenant, kind, ref, at, payload, checksum FROM head, "
        "(SELECT 'default' AS tenant, $1 AS kind, $2::bytea AS ref, 0::float8 AS at, $3::bytea AS payload, "
        "$4::bigint AS checksum) AS e",
        *_raw(closed("late")),
    )
    await holding.commit()
    await late.close()
    assert await waiting == 2
    assert await seen == [1, 2]
    assert await refs(two[0]) == ["late", "after it"]


def _raw(event: WindowClosed) -> tuple[str, bytes, bytes, int]:
    from controlplane.journal import encode_event
    from controlplane.journal.rows import UNNUMBERED, event_row

    at_zero = WindowClosed(tenant="default", at=0.0, trace_id=event.trace_id)
    row = event_row(UNNUMBERED, at_zero, encode_event(at_zero))
    return row[2], row[3].encode(), row[5], row[6]


async def test_a_group_whose_answer_is_lost_is_written_once(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make, postgres: Postgres, database_url: str
) -> None:
    """Connections are cut again and again while groups are on their way."""
    database = database_url.rpartition("/")[2]
    ending = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active'"

    async def write(n: int) -> str:
        await asyncio.sleep(0.002 * n)
        await two[n % 2].append(closed(str(n)))
        return str(n)

    writing = [asyncio.create_task(write(n)) for n in range(300)]
    for _ in range(8):
        await asyncio.to_thread(postgres.ask, ending)
        await asyncio.sleep(0.05)
    acknowledged = await asyncio.gather(*writing)
    assert sorted(await refs(two[0])) == sorted(acknowledged)


async def test_a_database_that_is_killed_loses_nothing_and_is_found_again(closed: Make) -> None:
    with running(Postgres) as server:
        journal = await PostgresJournal.open(server.database(), SystemClock())
        acknowledged = {f"before {n}" for n in range(50)}
        await asyncio.gather(*(journal.append(closed(name)) for name in acknowledged))
        with capture_logs() as said:
            await asyncio.to_thread(server.kill)
            await trouble(journal, JournalUnavailable.code)
            await asyncio.sleep(0.5)
        assert [line["event"] for line in said] == ["journal_not_read"], "once, however often it looks"
        waiting = asyncio.create_task(_append_again(journal, closed("while it was away")))
        with capture_logs() as said:
            await asyncio.to_thread(server.start)
            await waiting
            await trouble(journal, None)
        assert "journal_read_again" in [line["event"] for line in said]
        assert set(await refs(journal)) == {*acknowledged, "while it was away"}
        await journal.close()


async def test_a_journal_whose_database_says_nothing_is_in_trouble_until_it_answers_again(
    two: tuple[PostgresJournal, PostgresJournal], postgres: Postgres
) -> None:
    """Nobody writes: that it is away shows in reading alone."""
    postgres.pause()
    try:
        with capture_logs() as said:
            await trouble(two[0], JournalUnavailable.code)
        assert said == [], "no statement was given up yet"
    finally:
        postgres.go_on()
    await trouble(two[0], None)


async def test_only_the_holder_of_the_lease_acts_for_all(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make
) -> None:
    a, b = two
    with acting_for_all():
        with pytest.raises(LeaseLost):
            await a.append(closed("nobody leads"))
        await a.lease.tick()
        await b.lease.tick()
        assert (a.lease.held, b.lease.held) == (True, False)
        await a.append(closed("a leads"))
        await a.lease.release()
        await b.lease.tick()
        with pytest.raises(LeaseLost):
            await a.append(closed("a led"))
        await b.append(closed("b leads"))
    await a.append(closed("for itself, it may write"))
    assert await refs(b) == ["a leads", "b leads", "for itself, it may write"]


async def test_a_holder_that_was_paused_is_fenced_off_by_its_token(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make, postgres: Postgres, database_url: str
) -> None:
    """It still believes that it holds the lease, for its clock stood still."""
    a, b = two
    await a.lease.tick()
    postgres.ask("UPDATE lease SET ends_at = '-infinity'", database_url.rpartition("/")[2])
    await b.lease.tick()
    assert a.lease.held
    with acting_for_all(), pytest.raises(LeaseLost):
        await a.append(closed("too late"))
    assert not await a.shelf.publish(1, b"too late")
    assert await b.shelf.publish(1, b"in time")
    await a.lease.tick()
    assert a.lease.token is None


async def test_a_keyed_request_that_comes_to_two_replicas_has_one_effect(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make
) -> None:
    first = Received(tenant="t", at=1000.0, route="/v1/feedback", key="0", fingerprint=b"", by="", answer=None)

    def keyed(n: int) -> Received:
        return Received(
            tenant="t", at=1000.0 + n, route="/v1/feedback", key=str(n), fingerprint=b"", by="", answer=None
        )

    tries = [_append(two[which], keyed(n), closed(f"effect {n}")) for n in range(100) for which in (0, 1)]
    told = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(answer, InFlight) for answer in told) == 100
    assert sorted(ref for ref in await refs(two[0]) if ref.startswith("effect")) == sorted(
        f"effect {n}" for n in range(100)
    )
    later = msgspec.structs.replace(first, at=1000.0 + 90_000)
    assert await two[0].append(later, Answered(tenant="t", at=2.0, route="r", key="1", receipt=1, answer=None))


async def test_a_statement_sees_the_rows_of_the_tenant_it_says_it_is_for(
    two: tuple[PostgresJournal, PostgresJournal], database_url: str
) -> None:
    """The second wall: were `WHERE tenant = ...` forgotten, there would be nothing of others to see."""
    for tenant in ("one", "two"):
        await two[0].append(WindowClosed(tenant=tenant, at=0.0, trace_id="same"))
    connection = await asyncpg.connect(database_url)
    seen = {}
    for tenant in ("", "one", "two", "nobody", "*"):
        await connection.execute("SELECT set_config('pointsman.tenant', $1, false)", tenant)
        seen[tenant] = [row["tenant"] for row in await connection.fetch("SELECT tenant FROM events ORDER BY seq")]
    assert seen == {"": [], "one": ["one"], "two": ["two"], "nobody": [], "*": ["one", "two"]}
    await connection.execute("SELECT set_config('pointsman.tenant', 'one', false)")
    assert await connection.execute(QUERIES["erase"], "purged", b"", 0.0, b"", 0, "two", 2) == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("UPDATE events SET tenant = 'two'")
    for partition in await connection.fetch(PARTITIONS):
        assert await connection.fetch(f"SELECT * FROM {partition[0]}") == [], "nobody goes to a partition itself"
    await connection.close()


async def test_a_month_begins_its_partition_once(
    two: tuple[PostgresJournal, PostgresJournal], closed: Make, postgres: Postgres, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    await two[0].append(closed("this month"))
    for _ in range(2):
        postgres.ask(NEXT_MONTH, name)
    await two[1].append(closed("next month"))
    assert await refs(two[0]) == ["this month", "next month"]
    assert postgres.ask("SELECT count(DISTINCT tableoid) FROM events", name) == "2"


async def trouble(journal: PostgresJournal, code: str | None) -> None:
    """Wait until it is in this one."""
    async with asyncio.timeout(30):
        while journal.trouble != code:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def _append(journal: PostgresJournal, *events: WindowClosed | Received) -> int:
    return await journal.append(*events)


async def _append_again(journal: PostgresJournal, event: WindowClosed) -> None:
    """As clients do: what was answered 503 is tried again."""
    while True:
        with contextlib.suppress(JournalUnavailable):
            await journal.append(event)
            return


async def test_all_records_come_a_part_at_a_time_and_a_cut_is_told(
    two: tuple[PostgresJournal, PostgresJournal],
    learned: Callable[[str, int], Learned],
    postgres: Postgres,
    database_url: str,
) -> None:
    """However many there are, no statement gives all of them, and none has to end within a request's patience."""
    many = 2 * PART
    two[0].record("t", [learned(f"tr_{n:05d}", n) for n in range(many)])
    records = two[0].all_learned(many)
    found = [await anext(records)]
    found += [pair async for pair in two[1].all_learned(many)]
    assert [record.seq for _, record in found] == [0, *range(many)]
    database = database_url.rpartition("/")[2]
    streaming = f"FROM pg_stat_activity WHERE datname = '{database}' AND state = 'idle in transaction'"
    assert postgres.ask(f"SELECT count(pg_terminate_backend(pid)) {streaming}", database) == "1"
    with pytest.raises(JournalUnavailable):
        [pair async for pair in records]


async def test_a_journal_that_is_closed_while_it_hears_of_news_ends(database_url: str, closed: Make) -> None:
    """`asyncio.wait_for` swallowed the cancellation now and then, and the reader went on for ever."""
    async with asyncio.timeout(60):
        for n in range(30):
            journal = await PostgresJournal.open(database_url, SystemClock())
            await asyncio.gather(*(journal.append(closed(f"{n}.{i}")) for i in range(10)))
            await journal.close()


async def test_a_lease_that_lapsed_is_taken_anew_by_whoever_held_it(
    two: tuple[PostgresJournal, PostgresJournal], postgres: Postgres, database_url: str
) -> None:
    """Under another token: what was written meanwhile is read before it leads again."""
    a, _ = two
    await a.lease.tick()
    first = a.lease.token
    postgres.ask("UPDATE lease SET ends_at = now() - interval '1 second'", database_url.rpartition("/")[2])
    await a.lease.tick()
    assert a.lease.token is None
    await a.lease.tick()
    assert first is not None
    assert a.lease.token == first + 1


async def test_a_lease_that_had_lapsed_here_when_it_was_renewed_leads_once_its_replica_is_ready_again(
    postgres: Postgres, database_url: str
) -> None:
    """What was folded meanwhile waits for whoever leads: it is owed by who takes over, also from itself."""
    clock = FixedClock()
    journal = await PostgresJournal.open(database_url, clock)
    await journal.lease.tick()
    longer, name = "UPDATE lease SET ends_at = 'infinity'", database_url.rpartition("/")[2]
    postgres.ask(longer, name)
    journal.lead(journal.lease.term)
    assert journal.leads
    clock.advance(RENEW_S)
    await journal.lease.tick()
    assert journal.leads, "renewed in time"
    token = journal.lease.token
    postgres.ask(longer, name)
    clock.advance(LEASE_S)
    assert not journal.leads
    await journal.lease.tick()
    assert (journal.lease.held, journal.lease.token, journal.leads) == (True, token, False)
    journal.lead(journal.lease.term)
    assert journal.leads
    await journal.close()
