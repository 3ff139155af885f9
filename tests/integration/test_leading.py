"""A replica that cannot do what one does for all lets go of the lease, and another one leads."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from auditor import Outcome
from benchmarks.services import Postgres
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, CheckpointRequest, DecisionRequest, FeedbackRequest
from controlplane.errors import JournalDamaged, JournalUnavailable
from controlplane.service import Service
from controlplane.tenants.registry import LOCAL

from .conftest import chosen
from .test_replicas import Replicas, leading, level, used

SPOILT = """UPDATE head SET seq = seq + 1;
INSERT INTO events SELECT seq, month, 'default', 'decision', 'tr', 0, 'spoilt', 0 FROM head"""
REFUSES = """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;
CREATE TRIGGER refuse BEFORE {what} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuse()"""
NOWHERE = "http://127.0.0.1:1/"
OFTEN = {"recovery_interval_s": 0.05, "alarm_url": NOWHERE}


@pytest.fixture
async def replicas(database_url: str, tmp_path: Path) -> AsyncIterator[Replicas]:
    made = Replicas(tmp_path, database_url)
    yield made
    for service in list(made.opened):
        await made.close(service)


@pytest.fixture
def change(postgres: Postgres, database_url: str) -> Callable[[str], str]:
    """Changes this test's database behind the replicas' backs."""
    return lambda sql: postgres.ask(sql, database_url.rpartition("/")[2])


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def published(service: Service, last: int) -> bool:
    """Whether the learnt state after an event, or a later one, is in the database."""
    assert service.replication is not None
    return (await service.replication._journal.shelf.published_seq() or 0) >= last


async def told(service: Service, of: Service) -> bool:
    """Whether a replica knows that an alarm is owed of another."""
    assert of.replication is not None
    about = f"lease_given_up {of.replication._journal.lease.holder}"
    return service.outbox.jobs.added_at("alarm", about) is not None


async def test_a_replica_whose_fold_fails_lets_another_lead_and_where_none_is_fit_nobody_does(
    replicas: Replicas, change: Callable[[str], str]
) -> None:
    """What one replica cannot take in stops that one; what nobody can read stops all, and whoever asks is told."""
    a, b = await replicas.open(alarm_url=NOWHERE), await replicas.open(alarm_url=NOWHERE)
    await leading(a)
    a.learner.observe(breaks)
    decided = await b.plane.decide(LOCAL, DecisionRequest(planned_action="ls", task_id="t"))
    await leading(b)
    assert (a.journal.leads, a.healthy, a.ready) == (False, False, False)
    await until(lambda: told(b, a))
    assert decided.trace_id is not None
    report = FeedbackRequest(trace_id=decided.trace_id, outcome=Outcome(success=True, terminal=True))
    before = int(change("SELECT seq FROM head"))
    with pytest.raises(RuntimeError):
        await a.learning.feedback(LOCAL, report)
    assert int(change("SELECT seq FROM head")) > before, "it is journalled, and folded when it is mended"
    change(SPOILT)
    await until(lambda: failed(b))
    await until(lambda: free(change))
    assert (b.journal.leads, b.ready) == (False, False)
    before = int(change("SELECT seq FROM head"))
    with pytest.raises(JournalDamaged):
        await b.learning.feedback(LOCAL, report)
    assert int(change("SELECT seq FROM head")) == before, "who cannot read the log writes nothing to it"


async def test_whoever_does_not_fold_any_more_closes_nothing(tmp_path: Path) -> None:
    """It would find the same due again each second, and journal its end each time."""
    clock = FixedClock()
    service = await Service.open(chosen(tmp_path / "data"), clock)
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(service.close)
        service.learner.observe(breaks)
        await service.plane.decide(LOCAL, DecisionRequest(planned_action="ls", task_id="t"))
        await until(lambda: failed(service))
        last = service.journal.last_seq
        clock.advance(10 * 86_400)
        await service.background.tick()
        assert service.journal.last_seq == last


def breaks(*_: object) -> None:
    raise RuntimeError("it broke")


async def troubled(service: Service) -> bool:
    """Whether it found that it cannot write its recovery file, which it tries after it has published."""
    return service.recovery.trouble is not None


async def failed(service: Service) -> bool:
    return not service.healthy


async def free(change: Callable[[str], str]) -> bool:
    return change("SELECT ends_at = '-infinity' FROM lease") == "t"


async def test_a_leader_publishes_without_its_folder_and_where_it_cannot_lets_another_do_it(
    replicas: Replicas, change: Callable[[str], str]
) -> None:
    a = await replicas.open(**OFTEN)
    shutil.rmtree(a.settings.data_dir)
    await leading(a)
    await used([a], 2)
    await until(lambda: published(a, 5))
    await until(lambda: troubled(a))
    change(REFUSES.format(what="INSERT ON snapshots", when="NEW.token = 1"))
    assert a.replication is not None
    a.replication._late_s = 0.5  # it is seconds at least, and minutes as a rule
    b = await replicas.open(**OFTEN)
    await used([a, b], 2)
    await leading(b)
    assert a.healthy
    last = await level(a, b)
    await until(lambda: published(b, last))
    await until(lambda: told(b, a))


async def test_a_restore_needs_no_room_at_a_replica(replicas: Replicas) -> None:
    a, b = await replicas.open(), await replicas.open()
    await used([a, b], 3)
    kept = await a.lifecycle.create(LOCAL, CheckpointRequest(name="before"))
    folder = Path(b.settings.data_dir) / "checkpoints"
    folder.rmdir()
    folder.write_text("where a folder is to be")
    await a.lifecycle.restore(LOCAL, kept.checkpoint_id)
    await level(a, b)
    assert await a.learner.dump() == await b.learner.dump()


async def test_a_purge_that_its_replica_did_not_live_to_carry_out_is_carried_out_by_the_next_to_start(
    replicas: Replicas, change: Callable[[str], str]
) -> None:
    asked, other = await replicas.open(), await replicas.open()
    request = CaptureRequest(goal="ship it", planned_action="make secret-deploy")
    captured = await asked.remembering.capture(LOCAL, request)
    change(REFUSES.format(what="UPDATE ON events", when="NEW.kind = 'purged'"))
    with pytest.raises(JournalUnavailable, match="by the next start"):
        await asked.remembering.delete(LOCAL, captured.episode_id)
    await level(asked, other)
    await replicas.close(asked)
    change("DROP TRIGGER refuse ON events")
    left = "SELECT count(*) FROM events WHERE position('secret-deploy'::bytea IN payload) > 0"
    assert change(left) != "0"
    await replicas.open()
    assert change(left) == "0"
    assert other.healthy
