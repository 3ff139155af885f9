"""A wall clock that is wrong: an hour back, a day ahead, past 2038, standing still. Deadlines go by another one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from auditor import Outcome
from controlplane.clock import FixedClock
from controlplane.contract import CaptureRequest, DecisionRequest, FeedbackRequest, SearchRequest
from controlplane.errors import RateLimited
from controlplane.ids import new_id
from controlplane.refold import refold
from controlplane.service import Service
from controlplane.tenants import LOCAL, MemoryLimiter

from .conftest import chosen

HOUR_S, DAY_S, WINDOW_S = 3600.0, 86_400.0, 100.0
LAST_OF_32_BITS = 2.0**31
JUMPS = {"an hour back": -HOUR_S, "a day ahead": DAY_S, "past 2038": LAST_OF_32_BITS - FixedClock().now(), "none": 0.0}


class WallClock(FixedClock):
    """Its wall time can be set; the time of its deadlines cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.off = 0.0

    def now(self) -> float:
        return super().now() + self.off


@asynccontextmanager
async def opened(folder: Path, clock: WallClock) -> AsyncIterator[Service]:
    windows = {"route_window_s": WINDOW_S, "gate_window_s": WINDOW_S, "trajectory_ttl_s": WINDOW_S}
    service = await Service.open(chosen(folder, **windows), clock)
    try:
        await service.embedder.loaded()
        yield service
    finally:
        await service.close()


async def decided(service: Service, **fields: str) -> str:
    answer = await service.plane.decide(LOCAL, DecisionRequest(planned_action="make ship", **fields))
    assert answer.trace_id is not None
    return answer.trace_id


@pytest.mark.parametrize("jump_s", JUMPS.values(), ids=JUMPS)
async def test_everything_goes_on_and_folds_again_whatever_the_wall_clock_was_set_by(
    tmp_path: Path, jump_s: float
) -> None:
    clock = WallClock()
    async with opened(tmp_path, clock) as service:
        before = await decided(service)
        clock.off += jump_s
        after = await decided(service)
        assert before != after
        report = await service.learning.feedback(LOCAL, FeedbackRequest(trace_id=after, outcome=Outcome(success=True)))
        assert report.updated
        request = CaptureRequest(goal="ship", planned_action="make ship", error_trace="Error: quota")
        captured = await service.remembering.capture(LOCAL, request)
        found = await service.remembering.search(LOCAL, SearchRequest(goal="ship", planned_action="make ship"))
        assert [result.episode_id for result in found.results] == [captured.episode_id]
        assert 0.0 <= found.results[0].scores["recency"] <= 1.0
        assert (await service.learning.trace("default", after)).at == clock.now()
        learnt = (await refold(service.journal, service.journal.last_seq)).state.dump()
        assert learnt == service.learner.state.dump()
    async with opened(tmp_path, clock) as again:
        assert again.learner.state.dump() == learnt


async def test_a_clock_that_was_ahead_once_keeps_no_later_window_open(tmp_path: Path) -> None:
    clock = WallClock()
    async with opened(tmp_path, clock) as service:
        clock.off = DAY_S
        ahead = await decided(service, task_id="ahead")
        clock.off = 0.0
        later = await decided(service, task_id="later")
        clock.advance(WINDOW_S)
        await service.background.close_expired()
        fold = service.learner.state.of("default")
        assert list(fold.credit.open) == [ahead]
        assert [task for *_, task in fold.credit.trajectories] == ["ahead"]
        clock.advance(DAY_S)
        await service.background.close_expired()
        await service.background.close_expired()  # a task ends when nobody waits for its decisions any more
        assert not fold.credit.open
        assert not fold.credit.trajectories
        assert (await service.learning.trace("default", later)).learned is not None


async def test_no_window_closes_while_the_clock_stands_still(tmp_path: Path) -> None:
    clock = WallClock()
    async with opened(tmp_path, clock) as service:
        traces = [await decided(service) for _ in range(50)]
        await service.learner.passed(service.journal.last_seq)
        await service.background.close_expired()
        assert len(set(traces)) == 50
        assert list(service.learner.state.of("default").credit.open) == traces


@pytest.mark.parametrize("jump_s", JUMPS.values(), ids=JUMPS)
def test_rate_limits_do_not_look_at_the_wall_clock(jump_s: float) -> None:
    undisturbed, disturbed = WallClock(), WallClock()
    let_in = []
    for clock, jump in ((undisturbed, 0.0), (disturbed, jump_s)):
        limiter, passed = MemoryLimiter(clock), []
        for step in range(400):
            clock.advance(0.5)
            clock.off += jump if step % 50 == 0 else 0.0
            try:
                limiter.share("acme", "free", "search", 1)
            except RateLimited:
                continue
            passed.append(step)
        let_in.append(passed)
    assert let_in[0] == let_in[1]
    assert 0 < len(let_in[0]) < 400


def test_ids_do_not_repeat_without_their_time() -> None:
    """Their first twelve digits are the time, which may stand still or come again."""
    made = [new_id("tr").removeprefix("tr_")[12:] for _ in range(100_000)]
    assert len(set(made)) == len(made)
