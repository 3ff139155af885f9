"""Drawn logs of worlds whose truth is known, for the tests of replay."""

import numpy as np

from strategist import Situation, State
from strategist.evaluation import LoggedDecision, Sight

ACTIONS = ("slow", "fair", "fast")
TRUTH = {"day": (0.2, 0.5, 0.8), "night": (0.7, 0.4, 0.1)}  # chance of success by state and action


def sight(state: str, actions: tuple[str, ...] = ACTIONS) -> Sight:
    facts = {"hour": state}
    return Sight(Situation(State((("all", f"all/{state}"),)), actions), facts=facts)


def drawn(seed: int, count: int, epsilon: float = 0.6, favourite: int = 1) -> list[LoggedDecision]:
    """Decisions of a policy that takes its favourite but for `epsilon`."""
    rng = np.random.default_rng(seed)
    behaviour = np.full(3, epsilon / 3)
    behaviour[favourite] += 1 - epsilon
    log = []
    for row in range(count):
        state = "day" if rng.random() < 0.5 else "night"
        action = int(rng.choice(3, p=behaviour))
        success = bool(rng.random() < TRUTH[state][action])
        log.append(
            LoggedDecision(
                row=row + 1,
                sight=sight(state),
                action=ACTIONS[action],
                propensity=float(behaviour[action]),
                probabilities=tuple(behaviour.tolist()),
                reward=float(success),
                terms={"success": float(success), "speed": 1.0 - action},
                success=success,
                cost_usd=0.1 * (1 + action),
                latency_ms=100.0 * (3 - action),
            )
        )
    return log


def coin_tasks(seed: int, count: int, steps: int = 3) -> list[LoggedDecision]:
    """Tasks of several steps, mixed with each other: `go` earns 1, `stay` nothing; a coin logged."""
    rng = np.random.default_rng(seed)
    log: list[LoggedDecision] = []
    for group in range(0, count, 4):
        for step in range(steps):
            for task in range(group, min(group + 4, count)):
                go = bool(rng.random() < 0.5)
                here, after = (sight(f"step {place}", ("go", "stay")) for place in (step, step + 1))
                log.append(
                    LoggedDecision(
                        row=len(log) + 1,
                        sight=here,
                        action="go" if go else "stay",
                        propensity=0.5,
                        probabilities=(0.5, 0.5),
                        reward=float(go),
                        task=f"task {task}",
                        following=after if step + 1 < steps else None,
                    )
                )
    return log
