"""A tenant's journal as a story: every line is one event, folded at once by the real fold."""

from collections.abc import Callable
from typing import Any

import msgspec

from auditor import FeedbackResult, Learned, Outcome, PointRules, Rules, Trace, ValidationResult, learn_on
from auditor import State as LearntState
from auditor.events import (
    AnyEvent,
    Configured,
    Decided,
    EpisodeDeleted,
    Recorded,
    Reported,
    SkillRetired,
    TrajectoryClosed,
    Validated,
    WindowClosed,
)
from auditor.expiry import expired
from auditor.fold import Applied, TenantFold
from auditor.rewards import DEFAULT_WEIGHTS
from strategist import HeadChoice, Policy, PolicySettings, State

GAMMA = 0.9
WEEK_S = 604_800.0
VERDICTS = ("PROCEED", "HINT", "REWRITE", "BLOCK")
SPECS = {"gate": "gate-1", "route": "route-1", "chat": "chat-1", "capture": "capture-1"}


def rules_of(**changes: Any) -> Rules:
    """gamma 0.9, the product's weights and windows; `changes` are of every point's PointRules."""
    return Rules(
        points={
            point: msgspec.structs.replace(
                PointRules(
                    policy=PolicySettings(gamma=GAMMA),
                    spec_hash=SPECS[point],
                    weights=DEFAULT_WEIGHTS[point],
                    window_s=window_s,
                ),
                **changes,
            )
            for point, window_s in (("gate", 1800.0), ("route", 600.0), ("capture", WEEK_S))
        }
    )


def head_of(head: str, key: str, action: str, actions: tuple[str, ...], *, exploration: str = "exploit") -> HeadChoice:
    return HeadChoice(
        head=head,
        state=State(((key,),)),
        actions=actions,
        masked={},
        probabilities=tuple(1 / len(actions) for _ in actions),
        q_values=(0.0,) * len(actions),
        action=action,
        propensity=1 / len(actions),
        exploration=exploration,  # type: ignore[arg-type]
        draw=0.5,
        visits=0,
    )


def trace_of(
    trace_id: str,
    action: str = "PROCEED",
    *,
    task: str | None = None,
    point: str = "gate",
    key: str | None = None,
    eligible: tuple[str, ...] | None = None,
    tiers: tuple[str, ...] = (),
    exploration: str = "exploit",
    **fields: Any,
) -> Trace:
    """A decision in a state of its own (one key, named like the trace), as the control plane would write it.

    With `tiers` it has a second head, which took the first of them.
    """
    actions = eligible or (VERDICTS if point == "gate" else (action,))
    heads = [head_of("verdict", key or trace_id, action, actions, exploration=exploration)]
    if tiers:
        heads.append(head_of("tier", f"verdict={action}>{key or trace_id}", tiers[0], tiers))
    return Trace(
        **{  # type: ignore[arg-type]
            "trace_id": trace_id,
            "namespace": "",
            "task_id": task,
            "previous_trace_id": None,
            "point": point,
            "request": {},
            "facts": {},
            "heads": tuple(heads),
            "mode": "learning",
            "learn_on": learn_on(point, action),
            "terminal": point != "gate" or task is None,
            "execution": {},
            "policy_version": 0,
            "settings_hash": "",
            "spec_hash": SPECS[point],
            **fields,
        }
    )


class Story:
    """Writes events with ascending numbers and times, and folds each of them."""

    def __init__(self, rules: Rules, tenant: str = "default") -> None:
        self.state = LearntState(rules)
        self.tenant, self.now = tenant, 1000.0
        self.learned: list[Learned] = []
        self.told: Callable[[int, AnyEvent], None] | None = None  # hears of every event, too

    @property
    def fold(self) -> TenantFold:
        return self.state.of(self.tenant)

    def tell(self, event: AnyEvent, prefix: bytes | None = None) -> Applied:
        self.now += 1.0
        applied = self.state.apply(Recorded(self.state.seq + 1, event), prefix)
        self.learned.extend(applied.learned)
        if self.told is not None:
            self.told(self.state.seq, event)
        return applied

    def decide(self, trace_id: str, action: str = "PROCEED", **fields: Any) -> tuple[str, ...]:
        """The ids of the earlier decisions it completed."""
        event = Decided(tenant=self.tenant, at=self.now, trace=trace_of(trace_id, action, **fields))
        return tuple(learned.trace_id for learned in self.tell(event).learned)

    def report(self, trace_id: str, **outcome: Any) -> FeedbackResult:
        event = Reported(tenant=self.tenant, at=self.now, trace_id=trace_id, outcome=Outcome(**outcome))
        result = self.tell(event).answer
        assert isinstance(result, FeedbackResult)
        return result

    def validate(
        self,
        episode_id: int,
        success: bool = True,
        trace_id: str | None = None,
        *,
        applied: bool = True,
        fix: bool = True,
    ) -> ValidationResult:
        result = self.tell(
            Validated(
                tenant=self.tenant,
                at=self.now,
                episode_id=episode_id,
                trace_id=trace_id,
                success=success,
                applied_suggestion=applied,
                fix=fix,
            )
        ).answer
        assert isinstance(result, ValidationResult)
        return result

    def end_window(self, trace_id: str) -> Applied:
        return self.tell(WindowClosed(tenant=self.tenant, at=self.now, trace_id=trace_id))

    def end_task(self, task: str, point: str = "gate") -> Applied:
        self.now += self.state.rules.trajectory_ttl_s
        return self.tell(TrajectoryClosed(tenant=self.tenant, at=self.now, point=point, namespace="", task_id=task))

    def retire(self, skill_id: int) -> Applied:
        return self.tell(SkillRetired(tenant=self.tenant, at=self.now, skill_id=skill_id, reason="dangerous"))

    def purge(self, episode_id: int) -> Applied:
        return self.tell(EpisodeDeleted(tenant=self.tenant, at=self.now, episode_id=episode_id))

    def configure(self, rules: Rules) -> Applied:
        return self.tell(Configured(tenant="", at=self.now, rules=rules, settings_hash="s"))

    def close_expired(self, now: float) -> list[str]:
        """What is due by then, closed; the kinds of the closings."""
        due = list(expired(self.fold, now))
        for event in due:
            self.tell(event)
        return [event.kind for event in due]

    def policy(self, point: str = "gate") -> Policy:
        return self.fold.policies[point]

    def value(self, key: str, action: str, point: str = "gate") -> float:
        """What was learnt of an action in a state of one key."""
        return self.policy(point).table.read(State(((key,),)), (action,))[0]

    def last(self) -> Learned:
        return self.learned[-1]
