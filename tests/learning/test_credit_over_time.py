"""What was done early is paid late: through the strategist alone, and through journalled events and the auditor."""

import random

import pytest

from auditor import Outcome, PointRules, Rules, Trace, learn_on
from auditor import State as LearntState
from auditor.events import Decided, Recorded, Reported
from auditor.rewards import DEFAULT_WEIGHTS
from strategist import (
    Eligible,
    Policy,
    PolicySettings,
    Situation,
    State,
    Step,
    StepSize,
    Transition,
    UpdateRule,
)

from .school import key

GAMMA = 0.9


def walk_corridor(policy: Policy, length: int, seed: int, walks: int) -> None:
    """Each cell offers on (nothing, or 1 at the end) and out (0.2 at once); the walker tosses a coin."""
    rng = random.Random(seed)
    for _ in range(walks):
        for cell in range(length):
            here = Situation(key(f"cell{cell}"), ("on", "out"))
            step = (Step(here, rng.choice(here.actions)),)
            if step[0].action == "out":
                policy.fold(Transition.termination(step, 0.2))
                break
            if cell == length - 1:
                policy.fold(Transition.termination(step, 1.0))
            else:
                after = Situation(key(f"cell{cell + 1}"), ("on", "out"))
                policy.fold(Transition.transition(step, 0.0, policy.settings.gamma, after))


@pytest.mark.parametrize("seed", range(5))
def test_reward_at_the_end_of_a_corridor_reaches_its_beginning(seed: int) -> None:
    """Five cells, learnt off-policy from a drunkard's walks: gamma ** 4 = 0.656 beats the 0.2 at hand.

    A learner that averages over what the drunkard did next, or looks at rewards only, would leave at once.
    """
    policy = Policy(PolicySettings(gamma=GAMMA, step=StepSize(alpha=0.2)))
    walk_corridor(policy, 5, seed, 2000)
    values = [policy.table.read(key(f"cell{i}"), ("on", "out")) for i in range(5)]
    assert [on for on, _ in values] == pytest.approx([GAMMA**4, GAMMA**3, GAMMA**2, GAMMA, 1.0], abs=0.01)
    assert [out for _, out in values] == pytest.approx([0.2] * 5, abs=0.01)
    myopic = Policy(PolicySettings(gamma=0.0, step=StepSize(alpha=0.2)))
    walk_corridor(myopic, 5, seed, 2000)
    assert myopic.preferred(Situation(key("cell0"), ("on", "out"))) == "out"


class Agent:
    """Acts twice per task through journalled events: the first verdict decides what the second can be worth."""

    def __init__(self, policy: PolicySettings, seed: int) -> None:
        rules = PointRules(policy=policy, spec_hash="h", weights=DEFAULT_WEIGHTS["gate"], window_s=1800.0)
        self.state = LearntState(Rules(points={"gate": rules}))
        self.rng = random.Random(seed)
        self.tasks = 0

    def tell(self, event: Decided | Reported) -> None:
        self.state.apply(Recorded(self.state.seq + 1, event))

    def decide(self, at: State, actions: tuple[str, ...], task: str) -> tuple[str, str]:
        policy = self.state.of("default").policies["gate"]
        chosen = policy.choose("verdict", at, Eligible(actions=actions), self.rng)
        trace = Trace(
            trace_id=f"{task}-{self.state.seq}",
            namespace="",
            task_id=task,
            previous_trace_id=None,
            point="gate",
            request={},
            facts={},
            heads=(chosen,),
            mode="learning",
            learn_on=learn_on("gate", chosen.action),
            terminal=False,
            execution={},
            policy_version=self.state.seq,
            settings_hash="",
            spec_hash="h",
        )
        self.tell(Decided(tenant="default", at=1.0, trace=trace))
        return trace.trace_id, chosen.action

    def report(self, trace_id: str, **outcome: bool) -> None:
        self.tell(Reported(tenant="default", at=2.0, trace_id=trace_id, outcome=Outcome(**outcome)))

    def play(self) -> bool:
        """A destructive command succeeds now and makes the next one fail; blocked, the next one succeeds."""
        self.tasks += 1
        task = f"task{self.tasks}"
        first, verdict = self.decide(key("rm"), ("PROCEED", "BLOCK"), task)
        if verdict == "PROCEED":
            self.report(first, success=True)
        second, _ = self.decide(key(f"after {verdict}"), ("PROCEED",), task)
        self.report(second, success=verdict == "BLOCK", terminal=True)
        return verdict == "BLOCK"


@pytest.mark.parametrize("rule", ["q_learning", "tree_backup"])
@pytest.mark.parametrize("seed", range(3))
def test_blocked_action_is_credited_with_what_its_task_does_next(seed: int, rule: UpdateRule) -> None:
    """BLOCK: -0.15 + 0.9 * 1 = 0.75. PROCEED: 1 + 0.9 * -1 = 0.1, and 1 for a learner without credit over time."""
    agent = Agent(PolicySettings(gamma=GAMMA, update=rule), seed)
    blocked = [agent.play() for _ in range(1500)]
    assert sum(blocked[1000:]) / 500 > 0.9
    values = agent.state.of("default").policies["gate"].table.read(key("rm"), ("BLOCK", "PROCEED"))
    assert values == pytest.approx([0.75, 0.1], abs=0.1)
    myopic = Agent(PolicySettings(gamma=0.0, update=rule), seed)
    assert sum(myopic.play() for _ in range(600)) / 600 < 0.1
