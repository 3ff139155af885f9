"""What is owed to the world outside is done at least once: a real receiver, a real journal, and a clock we move."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from auditor import Outcome
from auditor.events import (
    AnyEvent,
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
    Recorded,
    Reported,
)
from auditor.fold import Applied
from controlplane import failpoints
from controlplane.alarms import ALARMS, CALM_S, QUIET_S, SIGNATURE, WORK, Alarms, Sender
from controlplane.clock import FixedClock
from controlplane.errors import JournalUnavailable
from controlplane.jobs import Jobs
from controlplane.journal import SqliteJournal, connect
from controlplane.outbox import (
    DEADLINE_S,
    LEASE_S,
    LONGEST_PAUSE_S,
    LONGEST_S,
    MOST_OPEN,
    MOST_UNWRITTEN,
    PAUSE_S,
    TRIES,
    Outbox,
)
from controlplane.upstream import Upstream

KEY = bytes(range(32))
Scripted = Callable[..., Any]


class Receiver:
    """Takes alarms in, or answers what its script says; keeps every body with its signature."""

    def __init__(self, upstream: Scripted, answers: Callable[[int], int] = lambda _: 200) -> None:
        self.heard: list[tuple[bytes, str]] = []
        self.taken: list[str] = []  # ids
        self.answers = answers

        def answer(handler: BaseHTTPRequestHandler, n: int) -> None:
            body = made.asked[n - 1][1]
            self.heard.append((body, handler.headers[SIGNATURE]))
            status = self.answers(n)
            if status == 200:
                self.taken.append(msgspec.json.decode(body)["id"])
            handler.send_response(status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        made = upstream(answer)
        self.url = f"{made.url}/hooks/a-secret-path"

    @property
    def bodies(self) -> list[bytes]:
        return [body for body, _ in self.heard]


class Life:
    """An outbox from one start to its end, over the journal of this test's folder."""

    def __init__(self, journal: SqliteJournal, http: httpx.AsyncClient, url: str, clock: FixedClock, seed: int) -> None:
        self.journal, self.clock = journal, clock
        sender = Sender(url, KEY, Upstream(http, deadline_s=DEADLINE_S), clock)
        self.outbox = Outbox(journal, clock, {"alarm": sender}, seed)
        self.alarms = Alarms(self.outbox, clock)

    def owe(self, about: str, **details: Any) -> None:
        self.outbox.add(WORK, about, {"alarm": "value_drifted", "details": details})

    @property
    def open(self) -> list[Any]:
        return list(self.outbox.jobs.open.values())

    async def until_due(self) -> float:
        """Move the clock to where the next job is due, and tick; how long that took."""
        waited = max(0.0, min(job.due for job in self.open) - self.clock.now())
        self.clock.advance(waited)
        await self.outbox.tick("alarm")
        return waited


Begin = Callable[..., Awaitable[Life]]


@pytest.fixture
async def begin(tmp_path: Path, seed: int) -> AsyncIterator[Begin]:
    """Starts lives one after the other; what a life had not journalled goes with it, as in a crash."""
    clock, journals = FixedClock(), list[SqliteJournal]()
    async with httpx.AsyncClient(follow_redirects=False) as http:

        async def started(receiver: Receiver) -> Life:
            while journals:
                await journals.pop().close()
            journals.append(await SqliteJournal.open(connect(tmp_path / "journal.db")))
            life = Life(journals[-1], http, receiver.url, clock, seed)
            await life.outbox.load()
            return life

        yield started
    while journals:
        await journals.pop().close()


@pytest.fixture(autouse=True)
def _no_failpoints() -> Any:
    yield
    failpoints.arm("")


async def test_an_alarm_is_delivered_once_and_verifies_by_the_documented_recipe(
    begin: Begin, upstream: Scripted
) -> None:
    receiver = Receiver(upstream)
    life = await begin(receiver)
    life.owe("a/route/x", usual=0.36, recent=-0.41)
    for _ in range(5):
        await life.outbox.tick("alarm")
        life.clock.advance(LEASE_S)
    [(body, header)] = receiver.heard
    told = msgspec.json.decode(body)
    assert told == {
        "id": told["id"], "alarm": "value_drifted", "at": 1_800_000_000.0, "means": ALARMS["value_drifted"],
        "details": {"usual": 0.36, "recent": -0.41},
    }  # fmt: skip
    assert [r.event.kind for r in await life.journal.read(0, 10)] == ["job", "job_leased", "job_ended"]

    page = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
    [recipe] = re.findall(r"```python\n(import hmac.*?)```", page, re.DOTALL)

    def verdict(body: bytes, key: bytes, now: float) -> tuple[bool, bool]:
        names: dict[str, Any] = {"key": key.hex(), "header": header, "body": body, "now": now}
        exec(recipe, names)
        return names["genuine"], names["fresh"]

    now = 1_800_000_000.0
    assert verdict(body, KEY, now) == (True, True)
    assert verdict(body + b" ", KEY, now) == (False, True)
    assert verdict(body, bytes(32), now) == (False, True)
    assert verdict(body, KEY, now + 3600) == (True, False)


async def test_what_fails_is_tried_again_after_pauses_that_grow(begin: Begin, upstream: Scripted, seed: int) -> None:
    receiver = Receiver(upstream, lambda n: 500 if n <= 8 else 200)
    life, drawn = await begin(receiver), random.Random(seed)
    life.owe("a/route/x")
    await life.outbox.tick("alarm")
    for n in range(8):
        pause = drawn.random() * min(LONGEST_PAUSE_S, PAUSE_S * 2**n)
        waited = max(LEASE_S, pause)
        life.clock.advance(waited - 0.5)
        await life.outbox.tick("alarm")
        assert len(receiver.heard) == n + 1, "not before its time"
        assert life.open[0].why == "it answered 500"
        life.clock.advance(0.5001)
        await life.outbox.tick("alarm")
        assert len(receiver.heard) == n + 2
    assert life.open == []
    assert len(set(receiver.bodies)) == 1, "the same bytes with every try"
    assert len(receiver.taken) == 1


@pytest.mark.parametrize("status", [302, 404])
async def test_what_nobody_takes_is_given_up_and_named(begin: Begin, upstream: Scripted, status: int) -> None:
    """A redirect is no delivery and leads nowhere."""
    receiver = Receiver(upstream, lambda _: status)
    life, started = await begin(receiver), 1_800_000_000.0
    life.owe("a/route/x")
    while life.open:
        await life.until_due()
    [dead] = life.outbox.jobs.given_up
    assert dead.why.endswith(f"it answered {status}")
    assert dead.tries <= TRIES
    assert life.clock.now() - started <= LONGEST_S + LONGEST_PAUSE_S
    assert dead.tries == TRIES or life.clock.now() - started > LONGEST_S
    assert len(receiver.heard) == dead.tries
    again = await begin(receiver)
    assert (again.open, list(again.outbox.jobs.given_up)) == ([], [dead])
    whole = "".join(map(repr, await again.journal.read(0, 1000)))
    assert "a-secret-path" not in whole, "the address is in no event"


async def test_whatever_happens_what_was_owed_is_done_or_named(begin: Begin, upstream: Scripted, seed: int) -> None:
    await _story(begin, upstream, seed)


@pytest.mark.nightly
@pytest.mark.parametrize("story", range(1, 21))
async def test_whatever_happens_holds_for_many_stories(begin: Begin, upstream: Scripted, seed: int, story: int) -> None:
    await _story(begin, upstream, seed + story)


async def _story(begin: Begin, upstream: Scripted, seed: int) -> None:
    rng = random.Random(seed)
    receiver = Receiver(upstream, lambda _: rng.choice((200, 200, 500, 503)))
    life = await begin(receiver)
    for n in range(120):
        match rng.randrange(4):
            case 0:
                life.owe(f"thing {rng.randrange(6)}", n=n)
            case 1:
                life.clock.advance(rng.uniform(0, 60))
            case 2 if rng.random() < 0.3:
                life = await begin(receiver)
            case _:
                await life.outbox.tick("alarm")
    receiver.answers = lambda _: 200
    while life.open:
        await life.until_due()
    await life.outbox.flush()
    events = [recorded.event for recorded in await life.journal.read(0, 10_000)]
    added = [event for event in events if isinstance(event, JobAdded)]
    newest = {event.about: event.job_id for event in added}
    replaced = {event.job_id for event in added} - set(newest.values())
    given_up = {event.job_id for event in events if isinstance(event, JobEnded) and event.given_up}
    assert len(added) > 10
    assert set(newest.values()) <= set(receiver.taken) | given_up
    assert set(receiver.taken) <= replaced | set(newest.values())
    by_id = {(msgspec.json.decode(body)["id"], body) for body in receiver.bodies}
    assert len(by_id) == len({job_id for job_id, _ in by_id}), "one id, one message"
    assert _fold(events).open == {}


def _fold(events: Sequence[AnyEvent]) -> Jobs:
    jobs = Jobs()
    for event in events:
        jobs.apply(event)
    return jobs


async def test_open_jobs_are_the_same_in_memory_and_from_the_journal(begin: Begin, upstream: Scripted) -> None:
    receiver = Receiver(upstream, lambda n: (200, 500, 404)[n % 3])
    life = await begin(receiver)
    for n in range(12):
        life.owe(f"thing {n % 9}", n=n)
        await life.outbox.tick("alarm")
        life.clock.advance(7.0)
    again = await begin(receiver)
    assert 0 < len(again.open) < 9
    assert again.open == life.open
    assert again.outbox.jobs.given_up == life.outbox.jobs.given_up


async def test_what_was_being_tried_when_a_server_died_is_tried_at_once_by_the_next(
    begin: Begin, upstream: Scripted
) -> None:
    receiver = Receiver(upstream)
    life = await begin(receiver)
    head: dict[str, Any] = {"tenant": "", "at": life.clock.now(), "job_id": "jb_1"}
    body = {"alarm": "value_drifted", "details": {}}
    leased = JobLeased(**head, fence=1, until=life.clock.now() + LEASE_S)
    await life.journal.append(JobAdded(**head, work=WORK, about="x", body=body), leased)
    again = await begin(receiver)
    await again.outbox.tick("alarm")
    assert receiver.taken == ["jb_1"], "nobody else holds the data folder, so the lease need not end first"
    [second] = [r.event.fence for r in await again.journal.read(2, 10) if isinstance(r.event, JobLeased)]
    assert second == 2


async def test_two_looks_at_once_try_a_job_once(begin: Begin, upstream: Scripted) -> None:
    life = await begin(receiver := Receiver(upstream))
    life.owe("x")
    await life.outbox.flush()
    await asyncio.gather(*(life.outbox.tick("alarm") for _ in range(3)))
    assert (len(receiver.heard), life.open) == (1, [])


async def test_what_was_being_tried_when_a_server_died_and_nobody_does_any_more_is_given_up(
    begin: Begin, upstream: Scripted
) -> None:
    """As where the providers were taken out of the settings meanwhile."""
    life = await begin(Receiver(upstream))
    head: dict[str, Any] = {"tenant": "", "at": life.clock.now(), "job_id": "jb_1"}
    leased = JobLeased(**head, fence=1, until=life.clock.now() + LEASE_S)
    await life.journal.append(JobAdded(**head, work="reflection", about="x", body={}), leased)
    again = await begin(Receiver(upstream))
    await again.outbox.tick("alarm")
    assert [job.job_id for job in again.open] == ["jb_1"]
    again.clock.advance(LONGEST_S + 1)
    await again.outbox.tick("alarm")
    assert again.open == []
    assert [gone.job_id for gone in again.outbox.jobs.given_up] == ["jb_1"]


async def test_what_happens_again_and_again_is_told_once_an_hour(begin: Begin, upstream: Scripted) -> None:
    receiver = Receiver(upstream)
    life = await begin(receiver)
    for step_s, heard in ((0.0, 1), (QUIET_S / 2, 1), (QUIET_S / 2, 2), (1.0, 2)):
        life.clock.advance(step_s)
        life.alarms.damaged("recovery-7.fold")
        await life.outbox.tick("alarm")
        assert len(receiver.heard) == heard
        life = await begin(receiver)
    life.alarms.damaged("recovery-8.fold")
    await life.outbox.tick("alarm")
    assert len(receiver.heard) == 3, "another file is another thing"


async def test_a_clock_that_was_ahead_once_puts_no_job_off_and_silences_no_alarm(
    begin: Begin, upstream: Scripted
) -> None:
    receiver = Receiver(upstream, lambda n: 500 if n == 1 else 200)
    life = await begin(receiver)
    life.clock.advance(10 * LONGEST_S)
    life.alarms.damaged("recovery-7.fold")
    await life.outbox.tick("alarm")
    assert (len(receiver.heard), len(life.open)) == (1, 1)
    life.clock.advance(-10 * LONGEST_S)
    await life.outbox.tick("alarm")
    assert (len(receiver.taken), life.open) == (1, [])
    life.alarms.damaged("recovery-7.fold")
    await life.outbox.tick("alarm")
    assert len(receiver.taken) == 2


async def test_an_event_that_is_folded_again_raises_nothing_again_and_an_old_one_nothing_at_all(
    begin: Begin, upstream: Scripted
) -> None:
    receiver = Receiver(upstream)
    life = await begin(receiver)

    def withheld(seq: int) -> Recorded:
        at = 1_800_000_000.0 + seq
        return Recorded(seq, Reported(tenant="a", at=at, trace_id="t", outcome=Outcome(), by=f"k{seq}", counts=False))

    async def observed(seq: int) -> int:
        life.alarms.observe(withheld(seq), Applied())
        await life.outbox.tick("alarm")
        return len(receiver.heard)

    assert await observed(7) == 1
    life = await begin(receiver)
    life.clock.advance(2 * QUIET_S)
    assert [await observed(seq) for seq in (6, 7, 8)] == [1, 1, 2]
    life.clock.advance(LONGEST_S)
    assert await observed(9) == 2


def test_a_late_result_of_an_older_try_changes_nothing() -> None:
    head: dict[str, Any] = {"tenant": "", "at": 1.0, "job_id": "jb_1"}
    jobs = _fold(
        [
            JobAdded(**head, work="alarm", about="x", body={}),
            JobLeased(**head, fence=1, until=2.0),
            JobLeased(**head, fence=2, until=3.0),
            JobEnded(**head, fence=1),
            JobFailed(**head, fence=1, why="late", next_at=99.0),
        ]
    )
    assert (jobs.open["jb_1"].due, jobs.open["jb_1"].why) == (3.0, None)
    jobs.apply(JobEnded(**head, fence=2))
    assert jobs.open == {}


def test_what_stands_in_the_log_twice_for_an_answer_was_lost_changes_nothing() -> None:
    head: dict[str, Any] = {"tenant": "", "at": 1.0, "job_id": "jb_1"}
    added = JobAdded(**head, work="alarm", about="x", body={})
    failed = [added, JobLeased(**head, fence=1, until=2.0), JobFailed(**head, fence=1, why="late", next_at=99.0)]
    trying = JobLeased(**head, fence=2, until=3.0)
    jobs = _fold([*failed, trying, *failed])
    assert (jobs.open["jb_1"].fence, jobs.open["jb_1"].due, jobs.count["alarm"]) == (2, 3.0, 1)
    done = [*failed, trying, JobEnded(**head, fence=2)]
    assert _fold([*done, *done]).open == {}


async def test_of_too_many_the_oldest_goes_and_of_one_thing_the_newest_stays(begin: Begin, upstream: Scripted) -> None:
    life = await begin(Receiver(upstream))
    for n in range(MOST_OPEN + 5):
        life.owe(f"thing {n}")
        life.clock.advance(0.1)
    assert [job.about for job in life.open] == [f"thing {n}" for n in range(5, MOST_OPEN + 5)]
    assert [dead.why for dead in life.outbox.jobs.given_up] == ["100 newer ones are open"] * 5
    for n in range(10):
        life.owe("thing 50", n=n)
    assert len(life.open) == MOST_OPEN
    [job] = [job for job in life.open if job.about == "thing 50"]
    assert job.body["details"] == {"n": 9}


async def test_an_alarm_about_the_journal_is_sent_before_it_heals_and_journalled_after(
    begin: Begin, upstream: Scripted
) -> None:
    receiver = Receiver(upstream)
    life = await begin(receiver)
    failpoints.arm("journal.insert:error@1")
    with pytest.raises(JournalUnavailable):
        await life.journal.append(JobLeased(tenant="", at=1.0, job_id="jb_none", fence=1, until=1.0))
    life.alarms.look({"journal": life.journal.trouble})
    await life.outbox.tick("alarm")
    assert [msgspec.json.decode(body)["alarm"] for body in receiver.bodies] == ["journal_in_trouble"]
    assert (life.journal.last_seq, life.outbox.unwritten) == (0, 3)

    await life.journal.flush()  # as the background does each second
    for _ in range(3):
        life.alarms.look({"journal": life.journal.trouble})
        await life.outbox.tick("alarm")
        life.clock.advance(CALM_S)
    assert [msgspec.json.decode(body)["alarm"] for body in receiver.bodies] == ["journal_in_trouble", "journal_healed"]
    kinds = [r.event.kind for r in await life.journal.read(0, 10)]
    assert kinds == ["job", "job_leased", "job_ended"] * 2
    assert (await begin(receiver)).open == []


async def test_what_waits_for_the_journal_is_bounded(begin: Begin, upstream: Scripted) -> None:
    life = await begin(Receiver(upstream))
    life.journal.trouble = "storage_full"
    for n in range(MOST_UNWRITTEN + 500):
        life.owe(f"thing {n % 7}")
    assert (life.outbox.unwritten, life.outbox.left_out) == (MOST_UNWRITTEN, 500)
    life.journal.trouble = None
    await life.outbox.tick("alarm")
    assert life.outbox.unwritten == 0
    assert len((await begin(Receiver(upstream))).open) == 6, "one was sent"


async def test_a_thing_is_wrong_once_until_it_was_right_for_a_while(begin: Begin, upstream: Scripted) -> None:
    life = await begin(Receiver(upstream))

    def look(why: str | None, after_s: float) -> list[str]:
        life.clock.advance(after_s)
        before = set(life.outbox.jobs.open)
        life.alarms.look({"shedding": why})
        return [job.body["alarm"] for job in life.open if job.job_id not in before]

    assert look(None, 1.0) == []
    assert look("3 refused so far", 1.0) == ["shedding_began"]
    assert look("5 refused so far", 1.0) == []
    assert look(None, CALM_S / 2) == []
    assert look("7 refused so far", 1.0) == [], "it never was over"
    assert look(None, CALM_S - 1.0) == []
    assert look(None, 1.0) == ["shedding_ended"]
    assert look("9 refused so far", 1.0) == ["shedding_began"]
