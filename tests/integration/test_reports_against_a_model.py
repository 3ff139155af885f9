"""Whatever is reported, in whatever order, the service does what a small model of it says.

Decisions, reports (first, repeated, other, late, on unknown and foreign decisions), validations, closings, checkpoints,
restores and restarts, drawn by Hypothesis over the real service; at the end the journal folds to the live state.
"""

import asyncio
import copy
import math
import os
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
from hypothesis import HealthCheck, strategies
from hypothesis.stateful import Bundle, RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from auditor import Outcome
from auditor.events import Decided, Reported
from auditor.fold import LATE
from controlplane.clock import FixedClock
from controlplane.contract import (
    CaptureRequest,
    CheckpointRequest,
    DecisionRequest,
    FeedbackRequest,
    GateAnswer,
    ValidateRequest,
)
from controlplane.errors import UnknownEpisode, UnknownTrace
from controlplane.refold import refold
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .conftest import chosen

MEMORY = Path("/dev/shm")  # nothing here has to survive
TENANT, WINDOW_S = LOCAL.tenant, 100.0
FOREIGNER = msgspec.structs.replace(LOCAL, tenant="foreign")
CANCELLED = "not executed: the decision is cancelled, unscored"
UNLEARNT = "the decision was unlearnt by a restore; this report is logged, not learnt"
OUTCOMES = (
    Outcome(success=True, latency_ms=20.0),
    Outcome(success=False, latency_ms=900.0, failures=2),
    Outcome(success=True, cost=0.5, applied_suggestion=True),
    Outcome(executed=False),
)


class Ended(msgspec.Struct, frozen=True):
    """How a decision ended: whether it was learnt, why not, and which time it ended."""

    updated: bool
    reason: str | None
    time: int


class Opened(msgspec.Struct, frozen=True):
    """A decision that waits for its report."""

    at: float
    cited: tuple[int, ...]


class Learnt(msgspec.Struct):
    """What a restore goes back to."""

    open: dict[str, Opened] = {}
    ended: dict[str, Ended] = {}
    validations: dict[int, int] = {}
    updates: int = 0


class Reports(RuleBasedStateMachine):
    """The service and its model, side by side."""

    traces = Bundle("traces")
    episodes = Bundle("episodes")
    checkpoints = Bundle("checkpoints")

    def __init__(self) -> None:
        super().__init__()
        self.loop, self.clock = asyncio.new_event_loop(), FixedClock()
        self.folder = tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None)
        self.learnt, self.kept = Learnt(), dict[str, Learnt]()
        self.reported: dict[str, list[Outcome]] = {}  # of every decision ever made; a restore takes nothing back
        self.records: dict[str, Ended] = {}  # the last time each decision ended
        self.captured: dict[int, int] = {}
        self._start()

    def _run(self, act: Any) -> Any:
        return self.loop.run_until_complete(act)

    def _start(self) -> None:
        windows = {"route_window_s": WINDOW_S, "gate_window_s": WINDOW_S, "trajectory_ttl_s": WINDOW_S}
        settings = chosen(Path(self.folder.name), epsilon=0.3, **windows)
        self.service = self._run(Service.open(settings, self.clock))
        self._run(self._memory_loaded())

    async def _memory_loaded(self) -> None:
        [memory] = [task for task in asyncio.all_tasks() if task.get_name() == "memory"]
        await memory

    def _decided(self, request: DecisionRequest) -> Any:
        answer = self._run(self.service.plane.decide(LOCAL, request))
        assert 0.0 < answer.propensity <= 1.0
        opened = self.service.learner.state.of(TENANT).credit.open[answer.trace_id]
        self.learnt.open[answer.trace_id] = Opened(opened.at, opened.cited if opened.point == "gate" else ())
        self.reported[answer.trace_id] = []
        return answer

    def _ends(self, trace_id: str, reason: str | None = None) -> None:
        del self.learnt.open[trace_id]
        self.learnt.ended[trace_id] = Ended(reason is None, reason, sum(map(len, self.reported.values())))
        self.records[trace_id] = self.learnt.ended[trace_id]
        self.learnt.updates += reason is None

    @rule(target=traces, region=strategies.sampled_from("abc"))
    def route(self, region: str) -> str:
        candidates = tuple({"provider": name, "sku": "s"} for name in "pq")
        request = {"candidates": candidates, "context": {"region": region}}
        trace_id: str = self._decided(msgspec.convert(request, DecisionRequest)).trace_id
        return trace_id

    @rule(target=traces, plan=strategies.sampled_from(["make ship", "ls", "git push"]))
    def gate(self, plan: str) -> str:
        answer = self._decided(DecisionRequest(goal="ship", planned_action=plan))
        assert isinstance(answer, GateAnswer)
        assert math.isclose(math.prod(answer.propensities.values()), answer.propensity, abs_tol=1e-9)
        return answer.trace_id

    @rule(trace_id=traces, outcome=strategies.sampled_from(OUTCOMES))
    def report(self, trace_id: str, outcome: Outcome) -> None:
        repeated = outcome in self.reported[trace_id]
        expected: tuple[bool, bool, str | None]  # updated, duplicate, reason
        if trace_id in self.learnt.open:
            reason = None if outcome.executed else CANCELLED
            self.reported[trace_id].append(outcome)
            self._ends(trace_id, reason)
            expected = (reason is None, False, reason)
        else:
            expected = self._late(trace_id, repeated=repeated)
            self.reported[trace_id].append(outcome)
        answer = self._run(self.service.learning.feedback(LOCAL, FeedbackRequest(trace_id=trace_id, outcome=outcome)))
        assert (answer.updated, answer.duplicate, answer.reason) == expected
        assert (answer.pending, answer.q_updates) == (None, self.learnt.updates)

    def _late(self, trace_id: str, *, repeated: bool) -> tuple[bool, bool, str | None]:
        record = self.records.get(trace_id)
        if record is None or self.learnt.ended.get(trace_id) != record:
            return False, False, UNLEARNT
        return (record.updated, True, record.reason) if repeated else (False, False, record.reason or LATE)

    @rule(trace_id=traces, outcome=strategies.sampled_from(OUTCOMES))
    def report_of_another_tenant(self, trace_id: str, outcome: Outcome) -> None:
        with pytest.raises(UnknownTrace):
            self._run(self.service.learning.feedback(FOREIGNER, FeedbackRequest(trace_id=trace_id, outcome=outcome)))

    @rule(outcome=strategies.sampled_from(OUTCOMES))
    def report_on_nothing(self, outcome: Outcome) -> None:
        with pytest.raises(UnknownTrace):
            self._run(self.service.learning.feedback(LOCAL, FeedbackRequest(trace_id="tr_no", outcome=outcome)))

    @rule(target=episodes, plan=strategies.sampled_from(["make ship", "ls"]))
    def capture(self, plan: str) -> int:
        request = CaptureRequest(goal="ship", planned_action=plan, error_trace=f"Error: {plan}", resolution="make")
        answer = self._run(self.service.remembering.capture(LOCAL, request))
        known = self.captured.setdefault(hash(plan), answer.episode_id)
        assert answer.episode_id == known
        return known

    @rule(episode_id=episodes, success=strategies.booleans())
    def validate(self, episode_id: int, success: bool) -> None:
        """It joins the newest open gate decision that rests on the episode."""
        citing = [trace_id for trace_id, opened in self.learnt.open.items() if episode_id in opened.cited]
        self.learnt.validations[episode_id] = self.learnt.validations.get(episode_id, 0) + 1
        request = ValidateRequest(episode_id=episode_id, outcome="success" if success else "failure")
        answer = self._run(self.service.learning.validate(LOCAL, request))
        assert answer.trace_id == (citing[-1] if citing else None)
        assert answer.updated == bool(citing)
        assert answer.validations == self.learnt.validations[episode_id]
        if citing:
            self._ends(citing[-1])

    @rule(episode_id=episodes)
    def validate_for_another_tenant(self, episode_id: int) -> None:
        request = ValidateRequest(episode_id=episode_id, outcome="success")
        with pytest.raises(UnknownEpisode):
            self._run(self.service.learning.validate(FOREIGNER, request))

    @rule(seconds=strategies.sampled_from([1.0, WINDOW_S * 0.6, WINDOW_S]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self._run(self.service.background.close_expired())
        for trace_id, opened in list(self.learnt.open.items()):
            if self.clock.now() - opened.at >= WINDOW_S:
                self._ends(trace_id)

    @rule(target=checkpoints)
    def checkpoint(self) -> Any:
        answer = self._run(self.service.lifecycle.create(LOCAL, CheckpointRequest()))
        self.kept[answer.checkpoint_id] = copy.deepcopy(self.learnt)
        return answer.checkpoint_id

    @rule(checkpoint_id=checkpoints)
    def restore(self, checkpoint_id: str) -> None:
        self._run(self.service.lifecycle.restore(LOCAL, checkpoint_id))
        self.learnt = copy.deepcopy(self.kept[checkpoint_id])

    @rule()
    @precondition(lambda self: self.reported)
    def restart(self) -> None:
        self._run(self.service.close())
        self._start()

    def _compare(self) -> None:
        """The journal holds what was told, and folds, bit for bit, to the live state, which is the model's."""
        journal, state = self.service.journal, self.service.learner.state
        events = [recorded.event for recorded in self._run(journal.read(0, journal.last_seq))]
        told = Counter(event.trace_id for event in events if isinstance(event, Reported))
        assert told == Counter({trace_id: len(reports) for trace_id, reports in self.reported.items() if reports})
        for head in (head for event in events if isinstance(event, Decided) for head in event.trace.heads):
            assert math.isclose(sum(head.probabilities), 1.0, abs_tol=1e-9)
            assert head.propensity == head.probabilities[head.actions.index(head.action)] > 0.0
        assert list(state.of(TENANT).credit.open) == list(self.learnt.open)
        assert self._run(refold(journal, journal.last_seq)).state.dump() == state.dump()

    def teardown(self) -> None:
        try:
            self._compare()
        finally:
            self._run(self.service.close())
            self.loop.close()
            self.folder.cleanup()


@pytest.mark.parametrize("sequences", [20, pytest.param(2_000, marks=pytest.mark.nightly)])
def test_every_report_does_what_the_model_says(sequences: int, seed: int) -> None:
    run_state_machine_as_test(
        hypothesis.seed(seed)(Reports),
        settings=hypothesis.settings(
            max_examples=sequences,
            stateful_step_count=25,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
