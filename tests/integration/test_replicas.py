"""Several servers on one PostgreSQL: whatever a client does at one of them holds at all of them, once."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from auditor import Outcome
from auditor.events import JobAdded, Recorded, WindowClosed
from auditor.money_events import Spender
from auditor.override import Tuning
from benchmarks.services import OWNER, Postgres
from controlplane.checkpoints import CHECKPOINT_FOLDER, HEADER, RecoveryFiles
from controlplane.clock import FixedClock, SystemClock
from controlplane.contract import (
    BudgetRequest,
    ChallengerRequest,
    CheckpointRequest,
    DecisionRequest,
    FeedbackRequest,
    KeyRequest,
    PolicyRequest,
    PruneRequest,
)
from controlplane.data_folder import DATABASE_FILE, JOURNAL_FILE
from controlplane.doctor import examine
from controlplane.errors import BadSetting, BudgetExhausted, Conflict, JournalUnavailable, PointsmanError, PolicyMoved
from controlplane.jobs import Job
from controlplane.journal import SqliteJournal, acting_for_all, connect
from controlplane.journal.port import STAYING_KINDS
from controlplane.journal.postgres import PostgresJournal
from controlplane.journal.postgres.database import HALF, MIGRATING, UNBOUND
from controlplane.memory.pgvector import NO_EXTENSION
from controlplane.moving import migrate
from controlplane.outbox import MOST_UNWRITTEN, Outbox
from controlplane.rebuilding import rebuild
from controlplane.refold import refold
from controlplane.replication import agree_on_pepper, join
from controlplane.service import Service
from controlplane.settings import Settings
from controlplane.shared_retention import archive
from controlplane.tenants.registry import LOCAL
from controlplane.whole_log import opened

from .conftest import Running

PEPPER = "ab" * 32
PARTITIONS = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'events'::regclass"


def chosen(folder: Path, database_url: str, **others: Any) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    given = {"data_dir": str(folder), "database_url": database_url, "embedder": "hashing", "seed": 1, **others}
    return Settings(**given)


class Replicas:
    """Opens and closes them; each has a folder of its own."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.opened: list[Service] = []
        self._folder, self._database_url = folder, database_url

    async def open(self, **others: Any) -> Service:
        folder = self._folder / f"replica-{len(list(self._folder.iterdir()))}"
        self.opened.append(await Service.open(chosen(folder, self._database_url, insecure_local=True, **others)))
        await self.opened[-1].loaded()
        return self.opened[-1]

    async def close(self, service: Service) -> None:
        self.opened.remove(service)
        await service.close()


@pytest.fixture
async def replicas(database_url: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    """None yet; all that are opened are closed in the end."""
    made = Replicas(tmp_path, database_url)
    yield made
    for service in list(made.opened):
        await made.close(service)


async def leading(service: Service) -> None:
    async with asyncio.timeout(30):
        while not service.journal.leads:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def administering(service: Service) -> list[str]:
    """The keys of operators that are active."""
    listed = service.administration.keys()
    return [key.key_id for key in listed if key.kind == "admin" and key.active]


async def level(*replicas: Service) -> int:
    """Wait until all have folded what any of them has written; up to where."""
    last = max(service.journal.last_seq for service in replicas)
    for service in replicas:
        await service.learner.passed(last)
    return last


async def used(replicas: list[Service], times: int) -> None:
    """Decisions, each reported at another replica than the one that made it."""
    for n in range(times):
        one, other = replicas[n % len(replicas)], replicas[(n + 1) % len(replicas)]
        request = DecisionRequest(planned_action=f"pytest part_{n % 5}", task_id=f"t{n}")
        decided = await one.plane.decide(LOCAL, request)
        assert decided.trace_id is not None
        outcome = Outcome(success=n % 3 > 0, terminal=True, latency_ms=float(n))
        told = await other.learning.feedback(LOCAL, FeedbackRequest(trace_id=decided.trace_id, outcome=outcome))
        assert told.updated


async def test_all_replicas_and_an_embedded_server_fold_one_log_to_the_same_bytes(
    replicas: Replicas, tmp_path: Path
) -> None:
    both = [await replicas.open(), await replicas.open()]
    await used(both, 60)
    last = await level(*both)
    (seq, state), other = [await service.learner.dump() for service in both]
    assert (seq, state) == other
    assert seq == last
    embedded = await SqliteJournal.open(connect(tmp_path / "embedded.db"))
    await embedded.append(*(recorded.event for recorded in await both[0].journal.read(0, 10_000)))
    assert (await refold(embedded, last)).state.dump() == state
    await embedded.close()


async def test_every_trace_says_how_far_behind_its_replica_was(replicas: Replicas) -> None:
    service = await replicas.open()
    await used([service], 3)
    [trace, *_] = [r.event.trace for r in await service.journal.read(0, 100) if r.event.kind == "decision"]
    assert 0.0 <= trace.lag_ms < 30_000
    assert service.metrics.snapshot_lag._sum.get() > 0


async def test_one_replica_leads_and_another_takes_over_where_it_left_off(replicas: Replicas) -> None:
    a = await replicas.open()
    await leading(a)
    b = await replicas.open()
    await used([a, b], 4)
    await replicas.close(a)
    await leading(b)
    await used([b], 2)
    assert await b.replication._journal.shelf.published_seq() is not None  # type: ignore[union-attr]
    c = await replicas.open()
    assert c.recovery.files(), "it began with what was published"
    await level(b, c)
    assert await b.learner.dump() == await c.learner.dump()


async def test_no_limit_is_exceeded_by_replicas_that_spend_at_once(replicas: Replicas) -> None:
    """Both see room for the last call; the log has one of them first."""
    both = [await replicas.open(), await replicas.open()]
    limit = BudgetRequest(scope="tenant", tenant="default", period="month", limit_usd=100e-9, why="enough for 100")
    await both[0].budgets.set("k", limit)
    await level(*both)
    spender = Spender(model="m", tier="cheap", purpose="chat")
    tries = [service.budgets.reserve("default", spender, 1) for _ in range(200) for service in both]
    told = await asyncio.gather(*tries, return_exceptions=True)
    refused = [answer for answer in told if isinstance(answer, BaseException)]
    assert all(isinstance(answer, BudgetExhausted) for answer in refused)
    assert len(told) - len(refused) == 100
    await level(*both)
    assert [len(service.learner.state.ledger.held) for service in both] == [100, 100]


async def test_what_the_leader_did_not_live_to_write_down_is_owed_by_the_next(database_url: str) -> None:
    async def nothing(_: object) -> None: ...

    journals = [await PostgresJournal.open(database_url, SystemClock(), name) for name in ("a", "b")]
    first, second = [Outbox(journal, SystemClock(), {"webhook": nothing}, 1) for journal in journals]
    await journals[0].lease.tick()
    journals[0].lead(journals[0].lease.term)
    first.take_over()
    for cause in (5, 7):
        for outbox in (first, second):  # both fold the events that it follows from
            outbox.add("webhook", f"hook/{cause}", {"n": cause}, cause)
        if cause == 5:
            await first.flush()  # the first of them is written; then it dies
            for recorded in await journals[1].committed(0):
                second.observe(recorded)
    assert [job.about for job in second.jobs.open.values()] == ["hook/5"]
    await journals[0].lease.release()
    await journals[1].lease.tick()
    journals[1].lead(journals[1].lease.term)
    second.take_over()
    assert [job.about for job in second.jobs.open.values()] == ["hook/5", "hook/7"]
    await second.tick("webhook")
    assert not second.jobs.open
    await first.tick("webhook")
    assert not first.jobs.open, "who led before begins again with the log"
    for journal in journals:
        await journal.close()


async def test_of_what_another_owes_no_more_is_kept_than_could_be_taken_over(database_url: str) -> None:
    """However long who leads publishes nothing; and nothing is that it is known to have journalled."""

    async def nothing(_: object) -> None: ...

    journal = await PostgresJournal.open(database_url, SystemClock())
    outbox = Outbox(journal, SystemClock(), {"broker": nothing}, 1)
    for cause in range(1, MOST_UNWRITTEN + 3):
        outbox.add("broker", f"news/{cause}", {}, cause)
    assert outbox.left_out == 2
    written = JobAdded(tenant="", at=0.0, job_id="jb_1", work="broker", about="news/10", body={}, cause=10)
    outbox.observe(Recorded(MOST_UNWRITTEN + 3, written))
    for cause in range(MOST_UNWRITTEN + 3, MOST_UNWRITTEN + 11):
        outbox.add("broker", f"news/{cause}", {}, cause)
    assert outbox.left_out == 2, "there is room where eight were"
    await journal.lease.tick()
    journal.lead(journal.lease.term)
    outbox.take_over()
    owed = {job.about for job in outbox.jobs.open.values()}
    assert owed == {f"news/{cause}" for cause in range(10, MOST_UNWRITTEN + 11)}
    await journal.close()


async def test_a_group_that_landed_though_its_answer_was_lost_is_not_done_again(database_url: str) -> None:
    done: list[str] = []

    async def do(job: Job) -> None:
        done.append(job.about)

    journal = await PostgresJournal.open(database_url, SystemClock())
    outbox = Outbox(journal, SystemClock(), {"webhook": do}, 1)
    await journal.lease.tick()
    journal.lead(journal.lease.term)
    outbox.add("webhook", "hook/1", {})
    await journal.append(*outbox._unwritten)  # it is there, and the outbox was told that it is not
    for _ in range(2):
        await outbox.tick("webhook")
        for recorded in await journal.read(0, 100):
            outbox.observe(recorded)
    assert [recorded.event.kind for recorded in await journal.read(0, 2)] == ["job", "job"]
    assert done == ["hook/1"]
    await journal.close()


@pytest.mark.parametrize("at", [(0, 0), (0, 1)], ids=["one server", "two replicas"])
async def test_of_the_last_admin_keys_one_stays_though_all_are_revoked_at_once(
    database_url: str, tmp_path: Path, at: tuple[int, int]
) -> None:
    pair = [await Service.open(chosen(tmp_path / name, database_url, pepper=PEPPER)) for name in ("a", "b")]
    first = pair[0].administration
    ids = [(await first.issue("", KeyRequest(name=name))).key_id for name in ("second", "third")]
    [oldest] = set(administering(pair[0])) - set(ids)
    await first.revoke("", oldest)
    await level(*pair)
    told = await asyncio.gather(
        *(pair[which].administration.revoke("", key) for which, key in zip(at, ids, strict=True)),
        return_exceptions=True,
    )
    [refusal] = [answer for answer in told if answer is not None]
    assert isinstance(refusal, Conflict)
    assert "last admin key" in str(refusal)
    await level(*pair)
    assert [administering(service) for service in pair] == [[ids[told.index(refusal)]]] * 2
    for service in pair:
        await service.close()


async def test_of_policies_that_are_set_at_two_replicas_at_once_one_is(replicas: Replicas) -> None:
    """And of two acts about one challenger: each rests on what the one before it did."""
    a, b = await replicas.open(), await replicas.open()
    sets = [PolicyRequest(version=0, why=why, risk_ceiling=ceiling) for why, ceiling in (("low", 0.2), ("high", 0.9))]
    told = await asyncio.gather(
        *(of.policies.set(LOCAL, "gate", request) for of, request in zip((a, b), sets, strict=True)),
        return_exceptions=True,
    )
    assert sorted(map(type, told), key=str) == [type(None), PolicyMoved]
    challenge = ChallengerRequest(why="as told", share=0.0, tuning=Tuning(epsilon=0.2))
    await a.challengers.challenge(LOCAL, "gate", challenge)
    told = await asyncio.gather(
        *(of.challengers.withdraw(LOCAL, "gate", "as told") for of in (a, b)), return_exceptions=True
    )
    assert sorted(map(type, told), key=str) == [type(None), Conflict]
    await level(a, b)
    assert await a.learner.dump() == await b.learner.dump()


async def test_no_replica_keeps_a_checkpoint_that_another_one_pruned(replicas: Replicas) -> None:
    a, b = await replicas.open(), await replicas.open()
    made = []
    for service, name in ((a, "first"), (b, "second"), (a, "third")):
        await used([a, b], 2)
        await level(a, b)
        made.append(await service.lifecycle.create(LOCAL, CheckpointRequest(name=name)))
    await level(a, b)
    await b.lifecycle.diff("default", made[0].checkpoint_id, made[1].checkpoint_id)
    pruned = await a.lifecycle.prune(LOCAL, PruneRequest(keep=1))
    gone = made[:2]
    assert pruned.pruned == tuple(of.checkpoint_id for of in gone)
    assert pruned.freed_bytes == sum(of.size_bytes + HEADER.size for of in gone)
    folders = [Path(service.settings.data_dir) / CHECKPOINT_FOLDER for service in (a, b)]
    kept = {name.removesuffix(".fold") for folder in folders for name in os.listdir(folder)}
    assert not kept & set(pruned.pruned)
    await level(a, b)
    await b.lifecycle.restore(LOCAL, made[2].checkpoint_id)


async def test_a_data_folder_that_was_used_with_another_database_is_refused(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    """Its recovery file would be taken for what this one's journal folds to."""
    folder, other = tmp_path / "replica", postgres.database()
    for _ in range(2):
        service = await Service.open(chosen(folder, database_url, insecure_local=True))
        await leading(service)
        await service.close()
    assert list(folder.glob("recovery/*"))
    with pytest.raises(BadSetting, match="used with another database; set POINTSMAN_DATA_DIR to an empty folder"):
        await Service.open(chosen(folder, other, insecure_local=True))
    with pytest.raises(BadSetting, match="used with another database"):
        await rebuild(chosen(folder, other), verify=True, progress=lambda *_: None)
    with pytest.raises(BadSetting, match="used with another database"):
        await archive(folder, other, 0, SystemClock(), lambda *_: None)
    postgres.ask("DELETE FROM files WHERE name = 'database'", database_url.rpartition("/")[2])  # as after a restore
    with pytest.raises(BadSetting, match="used with another database"):
        await Service.open(chosen(folder, database_url, insecure_local=True))


async def test_a_data_folder_that_cannot_be_written_is_named(database_url: str, tmp_path: Path) -> None:
    settings = chosen(tmp_path / "replica", database_url, insecure_local=True)
    (tmp_path / "replica" / f"{DATABASE_FILE}.tmp").mkdir()
    with pytest.raises(BadSetting, match="replica cannot be written: Is a directory; make room there"):
        await Service.open(settings)


def test_over_http_a_key_a_repeat_and_a_checkpoint_hold_at_every_replica(database_url: str, tmp_path: Path) -> None:
    first = Running(chosen(tmp_path / "a", database_url, pepper=PEPPER))
    with first as a, Running(chosen(tmp_path / "b", database_url, pepper=PEPPER)) as b:
        keys = a.service.first_keys
        assert keys is not None
        assert b.service.first_keys is None, "the first keys were made once"
        for server in (a, b):
            server.client.headers["X-API-Key"] = keys.tenant
        body, once = {"planned_action": "ls", "task_id": "t"}, {"Idempotency-Key": "once"}
        made = a.client.post("/v1/decisions", json=body, headers=once)
        assert b.client.post("/v1/decisions", json=body, headers=once).json() == made.json()
        b.post("/v1/feedback", {"trace_id": made.json()["trace_id"], "outcome": {"success": True, "terminal": True}})
        kept = a.post("/v1/checkpoints", {"name": "before"}, 201)
        b.until(lambda: b.get("/v1/checkpoints"))
        restored = b.post(f"/v1/checkpoints/{kept['checkpoint_id']}/restore")
        assert restored["restored_to"] == kept["seq"]
        a.until(lambda: a.service.learner.version == b.service.learner.version)
        a.until(lambda: sum(server.get("/status")["journal"]["leads"] for server in (a, b)) == 1)


async def test_replicas_must_have_one_pepper(database_url: str, tmp_path: Path) -> None:
    for n, (pepper, said) in enumerate([(None, "openssl rand"), ("abc", "32 bytes in hexadecimal")]):
        with pytest.raises(BadSetting, match=said):
            await Service.open(chosen(tmp_path / f"{n}", database_url, pepper=pepper))
    first = await Service.open(chosen(tmp_path / "first", database_url, pepper=PEPPER))
    with pytest.raises(BadSetting, match="not the one"):
        await Service.open(chosen(tmp_path / "second", database_url, pepper="cd" * 32))
    keyless = await Service.open(chosen(tmp_path / "keyless", database_url, pepper=PEPPER, insecure_local=True))
    made = await keyless.administration.issue("", KeyRequest(name="where all others are lost"))
    await level(first, keyless)
    assert first.registry.caller(made.key, "admin", first.clock.now()).key_id == made.key_id
    await keyless.close()
    await first.close()


async def test_an_embedded_journal_is_migrated_under_its_numbers_and_goes_on(
    database_url: str, postgres: Postgres, tmp_path: Path
) -> None:
    folder = tmp_path / "embedded"
    folder.mkdir()
    embedded = await Service.open(Settings(data_dir=str(folder), embedder="hashing", insecure_local=True, seed=1))
    await used([embedded], 30)
    _, state = await embedded.learner.dump()
    last = embedded.journal.last_seq
    await embedded.close()
    with pytest.raises(BadSetting, match="has a journal of its own; copy it to the database with `pointsman migrate`"):
        await Service.open(chosen(folder, database_url, insecure_local=True))
    for copied in (last, 0):  # the second time there is nothing left to do
        done = await migrate(folder, database_url, SystemClock(), lambda *_: None)
        assert (done.events, done.seq) == (copied, last)
    with pytest.raises(BadSetting, match="used with another database"):
        await migrate(folder, postgres.database(), SystemClock(), lambda *_: None)
    again = await Service.open(chosen(folder, database_url, insecure_local=True))
    await again.close()
    moved = await Service.open(chosen(tmp_path / "replica", database_url, insecure_local=True))
    assert (await refold(moved.journal, last)).state.dump() == state
    await used([moved], 2)
    await moved.close()
    other = tmp_path / "other"
    other.mkdir()
    service = await Service.open(Settings(data_dir=str(other), embedder="hashing", insecure_local=True, seed=2))
    await service.close()
    with pytest.raises(PointsmanError, match="another journal"):
        await migrate(other, database_url, SystemClock(), lambda *_: None)


async def test_a_half_copied_journal_is_served_by_nobody_until_the_copy_is_finished(
    postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    folder, database = tmp_path / "embedded", database_url.rpartition("/")[2]
    folder.mkdir()
    embedded = await SqliteJournal.open(connect(folder / JOURNAL_FILE))
    await embedded.append(*(WindowClosed(tenant="default", at=0.0, trace_id=f"{n}") for n in range(600)))
    await embedded.close()

    def cut_off(*_: int) -> None:
        raise InterruptedError

    def intruded(*_: int) -> None:
        postgres.ask("UPDATE head SET seq = seq + 1", database)

    with pytest.raises(InterruptedError):
        await migrate(folder, database_url, SystemClock(), cut_off)
    with pytest.raises(PointsmanError, match="run `pointsman migrate` again"):
        await Service.open(chosen(tmp_path / "replica", database_url, insecure_local=True))
    half = await PostgresJournal.open(database_url, SystemClock())
    with pytest.raises(PointsmanError, match="run `pointsman migrate` again"):
        async with half.in_turn("start"):
            pass
    await half.close()
    with pytest.raises(PointsmanError, match="run `pointsman migrate` again"):
        async with opened(tmp_path / "reader", database_url):
            pass
    done = await migrate(folder, database_url, SystemClock(), lambda *_: None)
    assert (done.events, done.seq) == (100, 600)
    await (await Service.open(chosen(tmp_path / "replica", database_url, insecure_local=True))).close()
    other, twin = postgres.database(), tmp_path / "twin"
    twin.mkdir()
    shutil.copy(folder / JOURNAL_FILE, twin)
    database = other.rpartition("/")[2]
    with pytest.raises(PointsmanError, match="another Pointsman writes"):
        await migrate(twin, other, SystemClock(), intruded)
    assert postgres.ask("SELECT count(*), max(seq) FROM events", database) == "500|500", "nothing under another number"


def cut_off_while_copying(done: int, of: int) -> None:
    if done > of / 2:
        raise InterruptedError


async def test_old_events_are_archived_while_replicas_run_and_a_new_one_begins_with_the_base(
    replicas: Replicas, postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    a = await replicas.open()
    await leading(a)
    await used([a], 30)
    kept = await a.lifecycle.create(LOCAL, CheckpointRequest(name="before"))
    postgres.ask("SELECT begin_month('2100-01-01')", database_url.rpartition("/")[2])
    await used([a], 10)
    with acting_for_all():
        await a.background.write_recovery()
    in_two_days = FixedClock(now=a.clock.now() + 2 * 86_400)
    with pytest.raises(PointsmanError, match="nothing was archived"):
        await archive(tmp_path / "archive", database_url, 20, in_two_days, cut_off_while_copying)
    assert list((tmp_path / "archive" / "archive").iterdir()) == [], "nothing is left of a file that was not finished"
    moved = await archive(tmp_path / "archive", database_url, 20, in_two_days, lambda *_: None)
    assert (moved.file is not None, moved.seq) == (True, a.journal.last_seq - 20)
    left = postgres.ask(PARTITIONS, database_url.rpartition("/")[2]).split()
    assert left == ["events_kept", "events_2100_01"], "the month that was over went as a whole"
    old = [recorded for recorded in await a.journal.read(0, 1000) if recorded.seq <= moved.seq]
    assert {"checkpoint", "signature"} <= {recorded.event.kind for recorded in old} <= set(STAYING_KINDS)
    b = await replicas.open()
    await used([a, b], 6)
    await b.lifecycle.restore(LOCAL, kept.checkpoint_id)
    await level(a, b)
    assert await a.learner.dump() == await b.learner.dump()
    again = await archive(tmp_path / "archive", database_url, 10**6, in_two_days, lambda *_: None)
    assert again.events == 0


def test_doctor_says_whether_the_database_can_be_used_and_quotes_no_password(database_url: str, tmp_path: Path) -> None:
    async def begun() -> None:
        await (await PostgresJournal.open(database_url, SystemClock())).close()

    def said(url: str, pepper: str | None = PEPPER) -> tuple[str, str]:
        settings = chosen(tmp_path / "folder", url, pepper=pepper)
        [found] = [finding for finding in examine(settings, SystemClock()) if finding.about == "database"]
        return found.state, found.said

    assert said(database_url) == ("fine", "it answers, and is empty: the first start makes what it needs")
    asyncio.run(begun())
    assert said(database_url) == ("fine", "it answers, with 0 event(s)")
    assert said(database_url, None)[0] == "broken"
    state, why = said("postgresql://me:hunter2@127.0.0.1:1/none")
    assert (state, "hunter2" in why) == ("broken", False)
    assert "ConnectionRefusedError" in why


async def test_doctor_says_what_a_start_would_fail_of_and_who_is_not_walled_off(
    postgres: Postgres, database_url: str, tmp_path: Path
) -> None:
    database = database_url.rpartition("/")[2]

    async def found(about: str, url: str, **others: Any) -> tuple[str, str]:
        settings = chosen(tmp_path / "folder", url, **{"insecure_local": True, "vectors": "pgvector", **others})
        findings = await asyncio.to_thread(lambda: list(examine(settings, SystemClock())))
        [finding] = [finding for finding in findings if finding.about == about]
        return finding.state, finding.said

    superuser = postgres.url(database, "postgres")
    journal = await PostgresJournal.open(superuser, SystemClock())
    assert await found("database", superuser) == ("warning", UNBOUND)
    with capture_logs() as logged:
        settings = chosen(tmp_path / "replica", superuser, insecure_local=True)
        await join(journal, settings, RecoveryFiles(tmp_path / "replica"))
    assert [line["event"] for line in logged] == ["rows_not_guarded"]
    assert "the role lacks rights" in (await found("database", database_url))[1], "the tables are the superuser's"
    await journal.shelf.put_file(MIGRATING, b"")
    assert await found("database", superuser) == ("broken", HALF)
    await journal.shelf.drop_file(MIGRATING)
    assert (await found("database", superuser))[0] == "warning"
    postgres.ask(f"ALTER DATABASE {database} SET default_transaction_read_only = on", "postgres")
    assert "it takes no writes" in (await found("database", superuser))[1]
    postgres.ask(f"ALTER DATABASE {database} RESET default_transaction_read_only", "postgres")
    (tmp_path / "folder" / DATABASE_FILE).write_bytes(b"db_another")
    assert "used with another database" in (await found("database", superuser))[1]
    (tmp_path / "folder" / DATABASE_FILE).unlink()
    await agree_on_pepper(journal, bytes.fromhex(PEPPER))
    for pepper, state, said in ((PEPPER, "warning", UNBOUND), ("cd" * 32, "broken", "this pepper is not the one")):
        told = await found("database", superuser, insecure_local=False, pepper=pepper)
        assert (told[0], told[1].startswith(said)) == (state, True)
    await journal.close()

    assert (await found("vectors", database_url))[0] == "fine"
    postgres.ask("DROP EXTENSION vector", database)
    assert await found("vectors", database_url) == ("broken", NO_EXTENSION)
    assert (await found("vectors", superuser))[0] == "fine", "a start would make it"
    assert postgres.ask("SELECT count(*) FROM pg_extension WHERE extname = 'vector'", database) == "0", "nobody did"
    postgres.ask("CREATE ROLE visitor LOGIN")
    postgres.ask("CREATE TABLE head (other integer)", "postgres")
    try:
        empty = postgres.database().replace(f"//{OWNER}@", "//visitor@")
        assert "the role lacks rights" in (await found("database", empty))[1]
        assert "another program's tables" in (await found("database", postgres.url("postgres", "postgres")))[1]
    finally:
        postgres.ask("DROP TABLE head; DROP ROLE visitor", "postgres")


async def test_a_database_that_refuses_says_what_kind_of_refusal_it_is(postgres: Postgres, database_url: str) -> None:
    """And quotes no name: a password that was put in its place would be one."""
    guest = database_url.replace(f"//{OWNER}@", "//guest@")
    postgres.ask("CREATE ROLE guest LOGIN")
    try:
        assert await refusal(guest) == "the role lacks rights; let it own a database of its own"
        postgres.ask("ALTER ROLE guest CONNECTION LIMIT 0")
        assert (await refusal(guest)).startswith("it takes no more connections")
    finally:
        postgres.ask("DROP ROLE guest")
    assert await refusal(guest) == "it lets no such role in from here; see to pg_hba.conf"
    assert await refusal(f"{database_url}x") == "there is no database of that name"
    assert await refusal(f"{database_url}?sslmode=require") == "it did not agree to TLS; see to sslmode"
    assert await refusal(f"{database_url}?foo=bar") == "the address has an option that it does not know"
    postgres.ask("CREATE TABLE head (other integer)", database_url.rpartition("/")[2])
    assert await refusal(database_url) == "it has another program's tables; name an empty one"


async def refusal(database_url: str) -> str:
    with pytest.raises(JournalUnavailable) as refused:
        await PostgresJournal.open(database_url, SystemClock())
    return str(refused.value).partition(": ")[2].rstrip(")")
