"""Who gets the credit: decisions waiting for their reward and their successor.

A decision is ready to be learnt when its reward is complete *and* its successor is known, or it is
terminal, or it was closed. Its successor is the first decision of its task issued after its feedback,
or the one that names it; decisions in flight together are never each other's successor.
"""

from typing import Literal

import msgspec

from strategist import Situation, Step, Transition

from .answers import Pending
from .cases import as_advised
from .comparison import Weighed
from .feedback import Outcome
from .rewards import Report
from .trace import BLOCK, PROCEED, LearnOn, Lesson, Offered, Trace
from .wording import Plan

TaskKey = tuple[str, str, str]  # (point, namespace, task_id)
FIRST_USES = 3  # of a reflection, by which the decision to make it is judged
SLACK_S = 60.0  # by which a clock set back costs nothing but that a window closes so much later


class OpenDecision(msgspec.Struct, kw_only=True, gc=False):
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
    conditions: tuple[str, ...] = ()
    plan: Plan | None = None
    advised: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    logged: tuple[Outcome, ...] = ()  # came after the reward; they teach nothing
    validation: bool | None = None
    report: Report | None = None  # set once the reward is complete
    withheld: bool = False  # a report came from a key that had used up its share
    ended: bool = False  # the task is known to end here
    successor: Situation | None = None
    weighed: Weighed | None = None  # in the comparison with who did not act
    offered: tuple[Offered, ...] = ()
    audit_weight: float = 0.0  # of a block that was let through
    appeal: Literal["open", "upheld", "rejected"] | None = None
    followed_by: str | None = None  # its successor's trace id, where the rule folds trajectories
    follows: tuple[str, ...] = ()  # those whose `followed_by` it is
    lesson: Lesson | None = None
    uses: tuple[float, ...] = ()  # what the first decisions earned that showed its reflection
    spent_usd: float = 0.0  # on its own reflection

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
            conditions=trace.conditions,
            plan=trace.plan,
            advised=trace.advised,
            weighed=trace.weighed,
            offered=trace.offered,
            audit_weight=trace.audit_weight,
            lesson=trace.lesson,
            spent_usd=trace.spent_usd,
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
        return self.ended or last.applied_suggestion is not None or last.overridden

    @property
    def reported(self) -> bool:
        """Whether anything came in on it, enough to be scored or not."""
        return bool(self.outcomes) or self.validation is not None or self.report is not None

    @property
    def unscored(self) -> bool:
        """Whether all that was reported was withheld: then not even the default reward is learnt."""
        return self.withheld and not self.outcomes and self.validation is None

    @property
    def ready(self) -> bool:
        return self.report is not None and (self.ended or self.successor is not None)

    @property
    def pending(self) -> Pending:
        """What it waits for."""
        if self.report is None and not self.obeyed_block:
            return "window"
        return "task_end" if self.ready else "next_decision"

    @property
    def ran(self) -> tuple[str | None, tuple[str, ...], Plan | None]:
        """(signature, conditions, plan) the last outcome is about: of the plan, the advice, or None: nobody said."""
        last = self.outcomes[-1]
        if self.action == PROCEED or last.overridden or last.applied_suggestion is False:
            return self.signature, self.conditions, self.plan
        return self.advised if last.applied_suggestion else None, as_advised(self.conditions), None

    @property
    def succeeded(self) -> bool | None:
        """How it ended, whatever was run; None where nobody said. A validation outranks the exit code."""
        if self.validation is not None:
            return self.validation
        return self.outcomes[-1].success if self.outcomes else None

    @property
    def plan_worked(self) -> bool | None:
        """Whether the plan itself was run and worked; None where nobody said."""
        last = self.outcomes[-1] if self.outcomes else None
        ran = last is not None and (last.applied_suggestion is False or last.overridden)
        return last.success if last is not None and ran else None

    def transition(self, gamma: float) -> Transition:
        """The transition of a scored decision; one closed without successor is truncated."""
        reward = self.report.total if self.report else 0.0
        if self.ended:
            return Transition.termination(self.steps, reward)
        if self.successor is None:
            return Transition.truncation(self.steps, reward)
        return Transition.transition(self.steps, reward, gamma, self.successor)


class Trajectory(msgspec.Struct, gc=False):
    """A task in progress: its open decisions and what the next state wants to know of the past."""

    open: dict[str, None] = msgspec.field(default_factory=dict)  # trace ids, in order
    waiting: dict[str, None] = msgspec.field(default_factory=dict)  # those the next decision is the successor of
    decisions: int = 0
    last_at: float = 0.0
    last_action: str | None = None
    last_success: bool | None = None


class TaskDump(msgspec.Struct, frozen=True, kw_only=True):
    """A trajectory at rest. Order counts (it becomes the order of learning), so what is open stands in lists."""

    task: TaskKey
    open: list[str]
    waiting: list[str]
    decisions: int
    last_at: float
    last_action: str | None
    last_success: bool | None

    @classmethod
    def of(cls, task: TaskKey, t: Trajectory) -> "TaskDump":
        return cls(
            task=task,
            open=list(t.open),
            waiting=list(t.waiting),
            decisions=t.decisions,
            last_at=t.last_at,
            last_action=t.last_action,
            last_success=t.last_success,
        )

    def trajectory(self) -> Trajectory:
        open_, waiting = dict.fromkeys(self.open), dict.fromkeys(self.waiting)
        return Trajectory(open_, waiting, self.decisions, self.last_at, self.last_action, self.last_success)


class Credit:
    """Open decisions and trajectories of one tenant."""

    def __init__(self) -> None:
        self.open: dict[str, OpenDecision] = {}
        self.trajectories: dict[TaskKey, Trajectory] = {}
        self._owed: dict[str, str] = {}  # by reflection, the open decision to make it
        self.in_order = True  # by time; not once the clock was set back while something was open
        self._newest_at = 0.0

    def begin(self, trace: Trace, at: float) -> list[OpenDecision]:
        """Open a decision; returns the earlier ones of its task to which it gave their successor.

        One that ends its task by default joins a trajectory only when its feedback says that the task goes on.
        """
        decision = OpenDecision.of(trace, at)
        self._note(at)
        followed = self._before(decision, trace.previous_trace_id)
        for earlier in followed:
            earlier.successor = trace.situation
        self._open(decision)
        if (task := decision.task) is not None and not decision.terminal:
            self._join(self._touch(task, at), decision)
        return followed

    def _open(self, decision: OpenDecision) -> None:
        self.open[decision.trace_id] = decision
        if decision.learn_on == "uses" and decision.lesson is not None:
            self._owed[decision.lesson.reflection_id] = decision.trace_id

    def note_use(self, lesson: Lesson, reward: float) -> None:
        """A decision that showed a reflection earned this; the decision to make it is judged by its first uses."""
        owing = self.open.get(self._owed.get(lesson.reflection_id, ""))
        if owing is not None and len(owing.uses) < FIRST_USES:
            owing.uses += (reward,)
            owing.spent_usd = lesson.usd

    def _before(self, decision: OpenDecision, named: str | None) -> list[OpenDecision]:
        """Those of its task that wait for a successor, and the one it names, of whichever task."""
        before = []
        if decision.task is not None and (trajectory := self.trajectories.get(decision.task)) is not None:
            before = [self.open[trace_id] for trace_id in trajectory.waiting]
            trajectory.waiting.clear()
        known = None if named is None else self.open.get(named)
        if known is None or known.successor is not None or any(earlier is known for earlier in before):
            return before
        if (known.point, known.namespace) != (decision.point, decision.namespace):
            return before
        if known.task in self.trajectories:
            self.trajectories[known.task].waiting.pop(known.trace_id, None)
        return [*before, known]

    def link(self, earlier: list[OpenDecision], trace_id: str) -> None:
        """Have those that a decision follows wait until it is over."""
        for decision in earlier:
            decision.followed_by = trace_id
        self.open[trace_id].follows = tuple([decision.trace_id for decision in earlier])

    def held(self, decision: OpenDecision) -> bool:
        """Whether it is scored and waits until the decision that followed it is over."""
        return decision.ready and not decision.ended and decision.followed_by in self.open

    def behind(self, decision: OpenDecision) -> list[OpenDecision]:
        """Those that are held until it is over, nearest first."""
        found = [decision]
        for later in found:
            earlier = [self.open[trace_id] for trace_id in later.follows if trace_id in self.open]
            found += [held for held in earlier if self.held(held)]
        return found[1:]

    def _join(self, trajectory: Trajectory, decision: OpenDecision) -> None:
        trajectory.open[decision.trace_id] = None
        trajectory.decisions += 1
        trajectory.last_action = decision.action
        self.wait_for_successor(decision)

    def wait_for_successor(self, decision: OpenDecision) -> None:
        """From here on the task's next decision is its successor, if anything was reported or need not be.

        Siblings in flight are never each other's.
        """
        if decision.task is None or decision.successor is not None:
            return
        if decision.reported or decision.obeyed_block:
            trajectory = self.trajectories.get(decision.task) or self._touch(decision.task, decision.at)
            trajectory.open[decision.trace_id] = trajectory.waiting[decision.trace_id] = None

    def _note(self, at: float) -> None:
        """A decision comes to those that are open."""
        if not self.open:
            self.in_order, self._newest_at = True, at
        self.in_order = self.in_order and at > self._newest_at - SLACK_S
        self._newest_at = max(self._newest_at, at)

    def _touch(self, task: TaskKey, at: float) -> Trajectory:
        """The task's trajectory, now the most recently used; they stay in that order for `expired`."""
        trajectory = self.trajectories.pop(task, None) or Trajectory()
        trajectory.last_at = at
        self.trajectories[task] = trajectory
        return trajectory

    def note_outcome(self, decision: OpenDecision, success: bool | None, at: float) -> None:
        """Remember the last outcome of the task for the state of its next decision."""
        if decision.task in self.trajectories:
            trajectory = self._touch(decision.task, at)
            trajectory.last_success = success

    def close(self, decision: OpenDecision) -> None:
        """The decision is learnt or cancelled; a finished task with nothing open is forgotten."""
        del self.open[decision.trace_id]
        if decision.learn_on == "uses" and decision.lesson is not None:
            self._owed.pop(decision.lesson.reflection_id, None)
        if (task := decision.task) is not None and (trajectory := self.trajectories.get(task)) is not None:
            trajectory.open.pop(decision.trace_id, None)
            trajectory.waiting.pop(decision.trace_id, None)
            if decision.ended and not trajectory.open:
                del self.trajectories[task]

    def forget(self, episode_id: int) -> None:
        """An episode was purged: how open decisions end is no matter of its worth any more."""
        for decision in self.open.values():
            decision.offered = tuple([item for item in decision.offered if item.episode_id != episode_id])

    def drop(self, point: str) -> None:
        """Forget what is open at a point whose feature spec changed: its keys lead nowhere."""
        self.open = {trace_id: d for trace_id, d in self.open.items() if d.point != point}
        self._owed = {made: trace_id for made, trace_id in self._owed.items() if trace_id in self.open}
        self.trajectories = {task: t for task, t in self.trajectories.items() if task[0] != point}

    def newest_citing(self, episode_id: int) -> OpenDecision | None:
        """The newest open gate decision that rests on the episode."""
        return next((d for d in reversed(self.open.values()) if d.point == "gate" and episode_id in d.cited), None)

    def dump(self) -> tuple[list[OpenDecision], list[TaskDump]]:
        return list(self.open.values()), [TaskDump.of(task, t) for task, t in self.trajectories.items()]

    @classmethod
    def load(cls, decisions: list[OpenDecision], trajectories: list[TaskDump]) -> "Credit":
        credit = cls()
        for decision in decisions:
            credit._note(decision.at)
            credit._open(decision)
        credit.trajectories = {dump.task: dump.trajectory() for dump in trajectories}
        return credit
