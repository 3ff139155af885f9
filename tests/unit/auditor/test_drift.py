"""An action whose rewards leave their usual level raises one alarm, soon; one that is merely noisy raises none."""

import random
from collections.abc import Callable

import pytest

from auditor import Learned, Outcome
from auditor import State as LearntState
from auditor.drift import SETTLED, WARM_UP, Alarm, Drift, Watch
from auditor.events import Reported, Restored
from auditor.rewards import Report
from strategist import Update

from .story import Story

Draw = Callable[[random.Random], float]


def coin(p: float) -> Draw:
    """What a gate decision earns that succeeds so often."""
    return lambda rng: 1.0 if rng.random() < p else -1.0


def bell(mean: float, spread: float = 0.2) -> Draw:
    return lambda rng: rng.gauss(mean, spread)


STEADY: dict[str, Draw] = {
    "always the same": lambda rng: 0.36,
    "fair coin": coin(0.5),
    "mostly succeeds": coin(0.9),
    "hardly ever fails": coin(0.98),
    "bell": bell(0.4),
    "anything": lambda rng: rng.uniform(-1.0, 1.0),
}
# before, after, and the number of rewards within which it is noticed
SHIFTS: dict[str, tuple[Draw, Draw, int]] = {
    "by one standard deviation": (bell(0.0), bell(0.2), 100),
    "by half of one": (bell(0.0), bell(-0.1), 600),
    "from mostly succeeding to often failing": (coin(0.9), coin(0.6), 200),
    "from even to mostly failing": (coin(0.5), coin(0.2), 300),
}


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    drawn: int = request.config.getoption("--seed")
    print(f"seed {drawn}")
    return drawn


def alarms(watch: Watch, draw: Draw, rng: random.Random, rewards: int) -> int:
    """How often it is raised; each time the watch begins anew, as the fold lets it."""
    raised = 0
    for _ in range(rewards):
        if watch.see(draw(rng)) is not None:
            raised, watch = raised + 1, Watch()
    return raised


@pytest.mark.parametrize("streams", [25, pytest.param(500, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", STEADY)
def test_steady_rewards_raise_at_most_one_alarm_in_fifty_thousand(seed: int, kind: str, streams: int) -> None:
    rewards = 2000
    rng = random.Random(f"{seed} {kind}")
    raised = sum(alarms(Watch(), STEADY[kind], rng, rewards) for _ in range(streams))
    print(f"{kind}: {raised} alarms in {streams * rewards} rewards")
    assert raised <= streams * rewards // 50_000


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_shift_is_noticed_within_so_many_rewards(seed: int, kind: str) -> None:
    before, after, within = SHIFTS[kind]
    rng, delays = random.Random(f"{seed} {kind}"), []
    for _ in range(40):
        watch = Watch()
        alarms(watch, before, rng, 1000)
        delays.append(next(n for n in range(1, 5000) if watch.see(after(rng)) is not None))
    print(f"{kind}: noticed after {sorted(delays)[20]} rewards in the middle, {max(delays)} at most")
    assert max(delays) <= within


def learned(reward: float, action: str = "a/1", point: str = "route") -> Learned:
    update = Update(target=reward, q_before=0.0, td_error=reward, discount=0.0, truncated=False, visits=1)
    report = Report(total=reward, terms=(), missing=())
    return Learned(trace_id="t", point=point, action=action, seq=1, report=report, update=update, reason=None)


def fold(drift: Drift, rewards: list[float], tenant: str = "default") -> list[Alarm]:
    return [alarm for at, reward in enumerate(rewards) for alarm in drift.fold(tenant, float(at), (learned(reward),))]


def test_an_alarm_says_what_was_usual_and_what_is_now_and_is_raised_once() -> None:
    drift = Drift()
    raised = fold(drift, [0.8, 0.6] * WARM_UP + [0.1, -0.1] * WARM_UP)
    assert len(raised) == 1
    [alarm] = raised
    assert (alarm.point, alarm.action, alarm.usual) == ("route", "a/1", pytest.approx(0.7, abs=0.03))
    assert alarm.recent < 0.4
    assert 2 * WARM_UP <= alarm.at < 2 * WARM_UP + 20
    assert drift.standing("default") == [alarm]
    assert drift.standing("somebody else") == []


def test_an_alarm_is_over_once_the_new_level_has_held() -> None:
    drift = Drift()
    [alarm] = fold(drift, [0.8, 0.6] * WARM_UP + [0.1, -0.1] * 10)
    assert fold(drift, [0.1, -0.1] * (SETTLED // 2 - 10)) == []
    assert drift.standing("default") == [alarm]
    assert fold(drift, [0.1, -0.1] * 10) == []
    assert drift.standing("default") == []


def test_each_tenant_point_and_action_is_watched_by_itself() -> None:
    drift = Drift()
    for tenant, action, point, reward in [
        ("a", "x", "route", 0.5), ("b", "x", "route", -0.5), ("a", "y", "route", 0.1), ("a", "x", "gate", 1.0),
    ] * (2 * WARM_UP):  # fmt: skip
        assert drift.fold(tenant, 0.0, (learned(reward, action, point),)) == ()
    assert [(of.tenant, of.point, of.action) for of in drift.dump()] == [
        ("a", "gate", "x"), ("a", "route", "x"), ("a", "route", "y"), ("b", "route", "x"),
    ]  # fmt: skip


def test_what_was_not_learnt_is_no_reward(story: Story) -> None:
    story.decide("r1", "a/1", point="route")
    story.report("r1", executed=False)
    assert story.state.drift.dump() == []


def test_watches_are_part_of_what_is_folded_and_outlive_a_restore(story: Story) -> None:
    empty = story.state.dump_tenant("default")
    for n in range(WARM_UP + 5):
        story.decide(f"r{n}", "a/1", point="route")
        story.report(f"r{n}", latency_ms=20.0 + n % 3)
    raised = []
    for n in range(30):
        story.decide(f"s{n}", "a/1", point="route")
        slow = Reported(tenant="default", at=story.now, trace_id=f"s{n}", outcome=Outcome(latency_ms=300.0))
        raised += story.tell(slow).alarms
        again = LearntState.load(story.state.dump())
        assert again.dump() == story.state.dump()
    assert len(raised) == 1
    assert again.drift.standing("default") == raised
    story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=0), empty)
    assert story.state.drift.standing("default") == raised
