"""PostgreSQL's journal where something is wrong: altered rows, statements that are refused, nobody who leads."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import msgspec
import pytest
from structlog.testing import capture_logs

from auditor import Learned
from auditor.events import WindowClosed
from benchmarks.services import Postgres
from controlplane.clock import SystemClock
from controlplane.errors import JournalDamaged, JournalUnavailable, PointsmanError
from controlplane.journal.port import ALL
from controlplane.journal.postgres import PostgresJournal, keeping
from controlplane.journal.postgres.database import connect_to
from controlplane.journal.postgres.groups import GROUP
from controlplane.journal.postgres.records import MOST

Make = Callable[[str], WindowClosed]
Change = Callable[[str], Awaitable[str]]
Two = tuple[PostgresJournal, PostgresJournal]
ALTERED = {
    "payload": "payload || '\\x20'",
    "checksum": "checksum # 1",
    "at": "at + 1",
    "kind": "'decision'",
    "tenant": "'another'",
    "ref": "'\\x61'",
}
NTH = dict(enumerate(ALTERED.items(), 1))
SPOILT = """UPDATE head SET seq = seq + 1;
INSERT INTO events SELECT seq, month, 'default', 'decision', 'tr', 0, 'spoilt', 0 FROM head"""
REFUSES = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE TRIGGER refuse BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION refuse()"""
LOST = """DELETE FROM events WHERE seq > 2; UPDATE head SET seq = 2;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"""
LISTENERS = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
WAITERS = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    """Two replicas' journals on one database."""
    opened = [await PostgresJournal.open(database_url, SystemClock(), name) for name in ("a", "b")]
    yield opened[0], opened[1]
    for journal in opened:
        await journal.close()


@pytest.fixture
def change(postgres: Postgres, database_url: str) -> Change:
    """Changes this test's database behind the journals' backs, or looks into it."""
    return lambda sql: asyncio.to_thread(postgres.ask, sql, database_url.rpartition("/")[2])


async def until(change: Change, holds: str) -> None:
    """Wait until the database says so."""
    async with asyncio.timeout(30):
        while await change(f"SELECT {holds}") != "t":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def again(call: Callable[[], Awaitable[object]]) -> None:
    """Until it is taken."""
    while True:
        try:
            await call()
        except JournalUnavailable:
            await asyncio.sleep(0.01)
        else:
            return


def record(seq: int) -> Learned:
    return Learned(trace_id=f"tr_{seq}", point="route", seq=seq, report=None, update=None)


async def test_an_altered_row_is_refused_whichever_of_its_columns_it_is(two: Two, closed: Make, change: Change) -> None:
    await two[0].append(*map(closed, ALTERED), closed("whole"))
    await change("; ".join(f"UPDATE events SET {name} = {to} WHERE seq = {n}" for n, (name, to) in NTH.items()))
    for n in NTH:
        with pytest.raises(JournalDamaged, match="is not what was written"):
            await two[0].read(n - 1, 1)
    assert [recorded.event.ref for recorded in await two[0].read(len(NTH), 1)] == ["whole"]


async def test_who_reads_an_altered_row_goes_no_further_and_hangs_nobody(
    two: Two, closed: Make, change: Change
) -> None:
    """And writes no more: what follows from what it has not folded would not be what the others come to."""
    journal, _ = two
    await journal.append(closed("whole"))
    folding = asyncio.create_task(folded(journal))
    await change(SPOILT)
    with pytest.raises(JournalDamaged, match="event 2 is not what was written"):
        await folding
    with pytest.raises(JournalDamaged, match="event 2"):
        await journal.append(closed("refused"))
    await journal.flush()
    assert (journal.last_seq, journal.trouble) == (1, JournalDamaged.code)
    with pytest.raises(JournalDamaged, match="event 2"):
        await journal.committed(1)


async def folded(journal: PostgresJournal) -> None:
    """As the learner reads."""
    after = 0
    while True:
        after = (await journal.committed(after))[-1].seq


async def test_who_read_more_than_the_log_has_writes_nothing_and_goes_no_further(
    two: Two, closed: Make, change: Change, database_url: str
) -> None:
    """As after a failover to a standby that lagged: whoever read less goes on, and writes other events there."""
    ahead, idle = two
    await ahead.append(*map(closed, ("one", "two", "lost", "lost, too")))
    assert len(await idle.committed(0)) == 4
    ahead.record("default", [record(4)])
    await change(LOST)
    with pytest.raises(PointsmanError):  # by who writes or by who reads, whichever looks first
        await ahead.append(closed("on top of what is gone"))
    behind = await PostgresJournal.open(database_url, SystemClock())
    await behind.append(closed("three"), closed("four"), closed("five"))
    for journal in two:
        async with asyncio.timeout(30):
            with pytest.raises(JournalDamaged, match=r"lost events that this replica had read.*start every replica"):
                await journal.committed(4)
        assert journal.last_seq == 4
        await asyncio.gather(journal.flush(), return_exceptions=True)
    assert [recorded.event.ref for recorded in await behind.read(0, 10)] == ["one", "two", "three", "four", "five"]
    assert await change("SELECT count(*) FROM learned") == "0", "nobody learns of events that are gone"
    await behind.close()


@pytest.mark.parametrize("seq", [1, 2], ids=["an old event", "the newest"])
async def test_an_erasure_that_the_database_refuses_is_owed_until_it_is_done(
    two: Two, closed: Make, change: Change, seq: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_S", 0.0)  # whether the log is what was read is looked at before anything is done
    await two[0].append(closed("one"), closed("two"))
    await change(REFUSES)
    with pytest.raises(JournalUnavailable):
        await two[0].erase("default", seq)
    assert [recorded.event.ref for recorded in await two[1].read(0, 2)] == ["one", "two"]
    await change("DROP TRIGGER refuse ON events")
    await until(change, f"kind = 'purged' FROM events WHERE seq = {seq}")
    assert [recorded.event.ref for recorded in await two[1].read(0, 2)] == [["", "two"], ["one", ""]][seq - 1]
    assert await two[0].append(closed("three")) == 3


async def test_who_begins_a_month_and_who_appends_take_turns(
    two: Two, closed: Make, change: Change, database_url: str
) -> None:
    """Both take the one row of `head` first. The other way round, each would hold what the other one waits for."""
    appending = await asyncpg.connect(database_url, server_settings={"pointsman.tenant": "*"})
    under_way = appending.transaction()
    await under_way.start()
    await appending.execute("UPDATE head SET seq = seq")
    beginning = asyncio.ensure_future(change("SELECT begin_month('2100-01-01')"))
    await until(change, f"count(*) = 1 {WAITERS}")
    await appending.execute("SELECT FROM events FOR UPDATE")
    await under_way.commit()
    await appending.close()
    await beginning
    months = [change(f"SELECT begin_month('2100-{month:02}-01')") for month in (2, 3, 4)]
    await asyncio.gather(*months, *(two[n % 2].append(closed(str(n))) for n in range(40)))
    assert len(await two[0].read(0, 100)) == 40


async def test_a_turn_is_held_and_waited_for_whatever_timeouts_the_role_has(change: Change, database_url: str) -> None:
    """And a machine that is gone holds it for half a minute; by PostgreSQL's own settings it would for two hours."""
    limits = ("statement_timeout", "lock_timeout", "idle_session_timeout")
    for name in limits:
        await change(f"ALTER DATABASE {database_url.rpartition('/')[2]} SET {name} = '50ms'")
    connection = await connect_to(database_url, ALL, None)
    assert [await connection.fetchval(f"SHOW {name}") for name in limits] == ["0", "0", "0"]
    asked = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
    idle, interval, count = [int(await connection.fetchval(f"SHOW {name}")) for name in asked]
    assert 0 < idle + interval * count <= 30
    connection.terminate()


@pytest.mark.nightly
async def test_an_act_that_is_paused_lets_others_have_their_turn(two: Two, database_url: str) -> None:
    holding = two[0].in_turn("act")
    await holding.__aenter__()
    with capture_logs() as said:
        async with asyncio.timeout(60), two[1].in_turn("act"):
            pass
    assert [(line["event"], line["to"]) for line in said] == [("turn_awaited", "act")]
    await holding.__aexit__(None, None, None)


async def test_a_database_that_was_read_only_for_a_while_is_written_to_again(
    two: Two, closed: Make, change: Change, postgres: Postgres, database_url: str
) -> None:
    """Sessions that began meanwhile stay read-only for good."""
    name, journal = database_url.rpartition("/")[2], two[0]
    await journal.append(closed("before"))
    await change(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await change("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pointsman'")
    await until(change, f"count(*) = 2 {LISTENERS}")
    for refused in (journal.append(closed("refused")), journal.shelf.put_file("refused", b"")):
        with pytest.raises(JournalUnavailable):
            await refused
    postgres.ask(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    async with asyncio.timeout(30):
        await again(lambda: journal.append(closed("after")))
        await again(lambda: journal.shelf.put_file("kept", b""))
    assert [recorded.event.ref for recorded in await journal.read(0, 10)] == ["before", "after"]


async def test_who_cannot_listen_reads_all_the_same_and_listens_again(
    two: Two, closed: Make, change: Change, database_url: str
) -> None:
    """As where all connections are taken: those that are open stay."""
    name = database_url.rpartition("/")[2]
    await two[0].append(closed("before"))
    await until(change, f"count(*) = 2 {LISTENERS}")
    await change(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await change(f"SELECT pg_terminate_backend(pid) {LISTENERS}")
    await until(change, f"count(*) = 0 {LISTENERS}")
    await two[0].append(closed("news"))
    assert [recorded.event.ref for recorded in await two[1].committed(1)] == ["news"]
    await change(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    await until(change, f"count(*) = 2 {LISTENERS}")


async def test_records_that_nobody_writes_are_written_by_who_keeps_too_many(two: Two, change: Change) -> None:
    """Nobody leads. They are the same at every replica, so each may write them."""
    journal, _ = two
    journal.record("default", [record(seq) for seq in range(1, MOST + 2)])
    async with asyncio.timeout(30):
        while len(journal._records) >= MOST:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await change("SELECT min(seq) FROM learned") == "1"
    assert await journal.learned("default", "tr_1") == record(1)
    assert await journal.learned("default", f"tr_{MOST}") == record(MOST)


async def test_what_who_leads_wrote_down_others_forget(two: Two, change: Change) -> None:
    """Also where it publishes nothing. What is written first is the oldest, and the last event may have had more."""
    leader, other = two
    await leader.lease.tick()
    leader.lead(leader.lease.term)
    again = msgspec.structs.replace(record(GROUP), seq=GROUP + 50)
    for journal in two:
        journal.record("default", [record(seq) for seq in range(1, GROUP + 50)])
        journal.record("default", [again])
    await until(change, "EXISTS (SELECT FROM files WHERE name = 'recorded')")
    assert await other.shelf.recorded_seq() == GROUP
    other.forget_records(GROUP)
    assert len(other._records) == 50
    assert await other.learned("default", "tr_2") == record(2)
    assert await other.learned("default", f"tr_{GROUP}") == again
