"""The one consumer: it folds committed events in order, answers who waits, and stops loudly."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import Answer, FeedbackResult, Learner, Outcome, Rules, ValidationResult
from auditor import State as LearntState
from auditor.events import (
    AnyEvent,
    Configured,
    Decided,
    Recorded,
    Reported,
    Restored,
    Validated,
)
from auditor.fold import Applied
from auditor.learner import ANSWERS_KEPT
from controlplane.checkpoints import CheckpointFiles
from controlplane.journal import MemoryJournal
from controlplane.refold import Prefixes
from strategist import SpecMismatch

from .story import rules_of, trace_of


class Running:
    """A learner on the shipped in-memory journal, with restores folded again from that journal."""

    def __init__(self, folder: Path) -> None:
        self.journal = MemoryJournal()
        self.learner = Learner(
            LearntState(Rules(points={})), self.journal, self.journal, Prefixes(self.journal, CheckpointFiles(folder))
        )
        self.seen: list[int] = []
        self.learner.observe(lambda recorded, applied: self.seen.append(recorded.seq))
        self.task = asyncio.create_task(self.learner.run())

    async def append(self, *events: AnyEvent) -> int:
        return await self.journal.append(*events)

    async def tell(self, *events: AnyEvent) -> Answer:
        """Append the events and wait for the last one's answer."""
        return await self.learner.reached(await self.append(*events) + len(events) - 1)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    await made.tell(configured())
    yield made
    made.task.cancel()
    await asyncio.gather(made.task, return_exceptions=True)


def configured(rules: Rules | None = None) -> Configured:
    return Configured(tenant="", at=0.0, rules=rules or rules_of(), settings_hash="s")


def decided(trace_id: str, **fields: Any) -> Decided:
    return Decided(tenant="default", at=1.0, trace=trace_of(trace_id, **fields))


def reported(trace_id: str, **outcome: Any) -> Reported:
    return Reported(tenant="default", at=2.0, trace_id=trace_id, outcome=Outcome(**outcome))


async def test_answer_comes_once_the_event_is_folded(running: Running) -> None:
    await running.append(decided("t1"))
    answer = await running.tell(reported("t1", success=True))
    assert isinstance(answer, FeedbackResult)
    assert answer.updated
    assert running.learner.version == 3
    assert running.learner.state.of("default").policies["gate"].updates == 1


async def test_every_event_gets_its_own_answer_whoever_waits_first(running: Running) -> None:
    """Waiting in the opposite order of the journal, all at once."""
    first = await running.append(
        decided("t1"), decided("t2", task="job"), reported("t1", success=True), reported("t2", success=False)
    )
    validation = Validated(tenant="default", at=3.0, episode_id=7, trace_id=None, success=True, applied_suggestion=True)
    last = await running.append(validation)
    answers = await asyncio.gather(*(running.learner.reached(seq) for seq in range(last, first - 1, -1)))
    assert isinstance(answers[0], ValidationResult)
    assert (answers[1].updated, answers[1].pending) == (False, "next_decision")
    assert answers[2].updated
    assert answers[3:] == [None, None]  # decisions have no answer of the fold


async def test_events_are_folded_and_handed_on_in_sequence_order(running: Running) -> None:
    for number in range(50):
        await running.append(decided(f"t{number}"), reported(f"t{number}", success=True))
    await running.learner.reached(101)
    assert running.seen == list(range(1, 102))


async def test_observers_get_the_event_with_what_it_did(running: Running) -> None:
    handed: list[tuple[Recorded, Applied]] = []
    running.learner.observe(lambda recorded, applied: handed.append((recorded, applied)))
    await running.append(decided("t1"))
    answer = await running.tell(reported("t1", success=True))
    recorded, applied = handed[-1]
    assert (recorded.seq, applied.answer) == (3, answer)
    assert [learned.trace_id for learned in applied.learned] == ["t1"]


async def test_records_of_learnt_decisions_reach_the_sink(running: Running) -> None:
    await running.append(decided("t1"))
    await running.tell(reported("t1", success=True))
    record = await running.journal.learned("default", "t1")
    assert (record.seq, record.report.total, record.update.target) == (3, 1.0, 1.0)


async def test_two_who_wait_for_the_same_event_both_hear(running: Running) -> None:
    await running.append(decided("t1"))
    waiting = [asyncio.create_task(running.learner.reached(3)) for _ in range(2)]
    await asyncio.sleep(0)
    await running.append(reported("t1", success=True))
    assert [answer.updated for answer in await asyncio.gather(*waiting)] == [True, True]


async def test_cancelled_waiter_takes_nothing_from_the_others(running: Running) -> None:
    await running.append(decided("t1"))
    gone, stays = (asyncio.create_task(running.learner.reached(3)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await running.append(reported("t1", success=True))
    assert (await stays).updated


async def test_answer_waits_for_whoever_comes_late_and_is_given_once(running: Running) -> None:
    await running.append(decided("t1"), reported("t1", success=True), decided("t2"))
    await running.learner.reached(4)
    assert (await running.learner.reached(3)).updated
    assert await running.learner.reached(3) is None


async def test_answers_nobody_came_for_are_not_kept_for_ever(running: Running) -> None:
    """One decision and a crowd of reports on it, of which only the newest answers are kept."""
    await running.append(decided("t1", task="job"))
    crowd = [reported("t1", success=True, latency_ms=float(i)) for i in range(20)]
    for _ in range(ANSWERS_KEPT // 20 + 1):
        await running.append(*crowd)
    await running.learner.reached(running.journal.last_seq)
    assert await running.learner.reached(3) is None
    assert isinstance(await running.learner.reached(running.journal.last_seq - 1), FeedbackResult)


async def test_restore_goes_back_to_the_prefix_the_journal_gives(running: Running) -> None:
    await running.tell(decided("t1", key="s"), reported("t1", success=True))
    kept = running.learner.state.dump_tenant("default")
    await running.tell(decided("t2", key="s"), reported("t2", success=False))
    await running.tell(Restored(tenant="default", at=9.0, checkpoint_id="cp", seq=3))
    assert running.learner.state.dump_tenant("default") == kept
    assert running.learner.version == 6


async def fail(running: Running) -> None:
    """Event 3 is a restore whose feature spec changed since: a defect, were it ever journalled."""
    rules = rules_of()
    gate = msgspec.structs.replace(rules.points["gate"], spec_hash="gate-2")
    await running.tell(configured(msgspec.structs.replace(rules, points={**rules.points, "gate": gate})))
    await running.append(Restored(tenant="default", at=9.0, checkpoint_id="cp", seq=1))
    await asyncio.wait([running.task])
    assert isinstance(running.task.exception(), SpecMismatch)


async def test_failed_fold_reaches_everybody_who_waits(running: Running) -> None:
    waiting = [asyncio.create_task(running.learner.reached(seq)) for seq in (3, 4, 9)]
    await asyncio.sleep(0)
    await fail(running)
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(failure) for failure in failures] == [SpecMismatch] * 3
    assert running.learner.failure is failures[0]


async def test_failed_fold_reaches_those_who_come_afterwards(running: Running) -> None:
    """Also for the very event that failed: it was not folded, so nobody may believe it was."""
    await fail(running)
    for seq in (3, 4):
        with pytest.raises(SpecMismatch):
            await running.learner.reached(seq)
    assert await running.learner.reached(2) is None  # this one was


async def test_failed_fold_does_not_count_as_folded(running: Running) -> None:
    await fail(running)
    assert running.learner.version == 2
    assert running.seen == [1, 2]


async def test_a_dump_is_of_one_moment_and_folding_waits_for_it(running: Running) -> None:
    await running.tell(*(decided(f"t{i}") for i in range(3000)))
    before = running.learner.state.dump()
    dumping = asyncio.create_task(running.learner.dump())
    await asyncio.sleep(0)
    telling = asyncio.create_task(running.tell(reported("t1", success=True)))
    assert await dumping == (3001, before)
    await telling
    assert running.learner.state.dump() != before


async def test_nothing_is_dumped_after_a_fold_failed_midway(running: Running) -> None:
    await fail(running)
    with pytest.raises(SpecMismatch):
        await running.learner.dump()


async def test_learner_that_starts_on_a_state_reads_only_what_came_after_it(running: Running, tmp_path: Path) -> None:
    await running.tell(decided("t1"), reported("t1", success=True))
    loaded = LearntState.load(running.learner.state.dump())
    seen: list[int] = []
    prefixes = Prefixes(running.journal, CheckpointFiles(tmp_path))
    second = Learner(loaded, running.journal, running.journal, prefixes)
    second.observe(lambda recorded, applied: seen.append(recorded.seq))
    await running.tell(decided("t2"), reported("t2", success=False))
    task = asyncio.create_task(second.run())
    assert await second.reached(3) is None  # folded before the restart
    await second.reached(5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [4, 5]
    assert second.state.dump() == running.learner.state.dump()
