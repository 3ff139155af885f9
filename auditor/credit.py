"""Who gets the credit: decisions waiting for their reward and their successor.

A decision is ready to be learnt when its reward is complete *and* its successor is known, or it is
terminal, or it was closed. Its successor is the first decision of its task issued after its feedback,
or the one that names it; decisions in flight together are never each other's successor.
"""

import msgspec

from strategist import Situation, Step, Transition

from .feedback import Outcome
from .rewards import Report
from .trace import BLOCK, PROCEED, LearnOn, Trace

TaskKey = tuple[str, str, str]  # (point, namespace, task_id)


class OpenDecision(msgspec.Struct, kw_only=True):
    """A decision that has not been learnt yet."""

    trace_id: str
    point: str
    namespace: str
    task_id: str | None
    at: float
    steps: tuple[Step, ...]
    learn_on: LearnOn
    terminal: bool
    cited: tuple[int, ...]
    signature: str | None
    case_counted: bool = False
    outcomes: list[Outcome] = msgspec.field(default_factory=list)
    validation: bool | None = None
    report: Report | None = None  # set once the reward is complete
    ended: bool = False  # the task is known to end here
    successor: Situation | None = None

    @classmethod
    def of(cls, trace: Trace, at: float) -> "OpenDecision":
        return cls(
            trace_id=trace.trace_id,
            point=trace.point,
            namespace=trace.namespace,
            task_id=trace.task_id,
            at=at,
            steps=trace.steps,
            learn_on=trace.learn_on,
            terminal=trace.terminal,
            cited=trace.cited,
            signature=trace.signature,
        )

    @property
    def action(self) -> str:
        return self.steps[0].action

    @property
    def task(self) -> TaskKey | None:
        return None if self.task_id is None else (self.point, self.namespace, self.task_id)

    @property
    def obeyed_block(self) -> bool:
        """A block nobody overrode needs no feedback: its reward is its friction."""
        return self.point == "gate" and self.action == BLOCK and not any(o.overridden for o in self.outcomes)

    @property
    def complete(self) -> bool:
        """Whether what was reported so far is enough to be scored."""
        if self.validation is not None:
            return True
        if not self.outcomes:
            return False
        if self.learn_on == "feedback":
            return True
        last = self.outcomes[-1]
        return last.applied_suggestion is not None or last.terminal is not None or last.overridden

    @property
    def ready(self) -> bool:
        return self.report is not None and (self.ended or self.successor is not None)

    def planned_action_ran(self) -> bool:
        """Whether the last outcome is that of the action as it was planned, without the advice."""
        last = self.outcomes[-1]
        return self.action == PROCEED or last.overridden or last.applied_suggestion is False

    def transition(self, gamma: float) -> Transition:
        """The transition of a scored decision; one closed without successor is truncated."""
        reward = self.report.total if self.report else 0.0
        if self.ended:
            return Transition.termination(self.steps, reward)
        if self.successor is None:
            return Transition.truncation(self.steps, reward)
        return Transition.transition(self.steps, reward, gamma, self.successor)


class Trajectory(msgspec.Struct):
    """A task in progress: its open decisions and what the next state wants to know of the past."""

    open: list[str] = msgspec.field(default_factory=list)
    decisions: int = 0
    last_at: float = 0.0
    last_action: str | None = None
    last_success: bool | None = None


class Credit:
    """Open decisions and trajectories of one tenant."""

    def __init__(self) -> None:
        self.open: dict[str, OpenDecision] = {}
        self.trajectories: dict[TaskKey, Trajectory] = {}

    def begin(self, trace: Trace, at: float) -> list[OpenDecision]:
        """Open a decision; returns the earlier ones of its task to which it gave their successor."""
        decision = OpenDecision.of(trace, at)
        followed = []
        if (task := decision.task) is not None:
            trajectory = self.trajectories.setdefault(task, Trajectory())
            for trace_id in trajectory.open:
                earlier = self.open[trace_id]
                waiting = earlier.report is not None or earlier.obeyed_block
                if earlier.successor is None and (waiting or trace_id == trace.previous_trace_id):
                    earlier.successor = trace.situation
                    followed.append(earlier)
            trajectory.open.append(decision.trace_id)
            trajectory.decisions += 1
            trajectory.last_at = at
            trajectory.last_action = decision.action
        self.open[decision.trace_id] = decision
        return followed

    def note_outcome(self, decision: OpenDecision, success: bool | None, at: float) -> None:
        """Remember the last outcome of the task for the state of its next decision."""
        if decision.task in self.trajectories:
            trajectory = self.trajectories[decision.task]
            trajectory.last_at = at
            trajectory.last_success = success

    def close(self, decision: OpenDecision) -> None:
        """The decision is learnt or cancelled; a finished task with nothing open is forgotten."""
        del self.open[decision.trace_id]
        if (task := decision.task) is not None and (trajectory := self.trajectories.get(task)) is not None:
            trajectory.open.remove(decision.trace_id)
            if decision.ended and not trajectory.open:
                del self.trajectories[task]

    def drop(self, point: str) -> None:
        """Forget what is open at a point whose feature spec changed: its keys lead nowhere."""
        self.open = {trace_id: d for trace_id, d in self.open.items() if d.point != point}
        self.trajectories = {task: t for task, t in self.trajectories.items() if task[0] != point}

    def newest_citing(self, episode_id: int) -> OpenDecision | None:
        """The newest open gate decision that rests on the episode."""
        return next((d for d in reversed(self.open.values()) if d.point == "gate" and episode_id in d.cited), None)

    def dump(self) -> tuple[list[OpenDecision], list[tuple[TaskKey, Trajectory]]]:
        return list(self.open.values()), sorted(self.trajectories.items())

    @classmethod
    def load(cls, decisions: list[OpenDecision], trajectories: list[tuple[TaskKey, Trajectory]]) -> "Credit":
        credit = cls()
        credit.open = {decision.trace_id: decision for decision in decisions}
        credit.trajectories = dict(trajectories)
        return credit
