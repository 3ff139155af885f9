"""The terms of each point's reward. Each returns a value in [-1, 1] with a sentence, or None when unknown.

Routing terms follow the Aurora example (latency .4, cost .3, SLO .2, failures .1 give .88 for it).
"""

from collections.abc import Callable

import msgspec

from ..feedback import Outcome
from ..trace import BLOCK


class Scene(msgspec.Struct, frozen=True):
    """What a term may look at: the action taken, the report, a validation if there was one, and what is known here."""

    action: str
    outcome: Outcome
    validation: bool | None = None
    appeal_upheld: bool = False
    uses: tuple[float, ...] = ()  # what the decisions earned that rested on it
    spent_usd: float = 0.0  # on models, for the answer itself


class Term(msgspec.Struct, frozen=True):
    """One summand: weight * value, and why."""

    name: str
    value: float
    weight: float
    sentence: str


Judged = tuple[float, str] | None
Judge = Callable[[Scene], Judged]


def clip(value: float) -> float:
    return max(-1.0, min(1.0, value))


def latency(scene: Scene) -> Judged:
    ms = scene.outcome.latency_ms
    return None if ms is None else (clip((200.0 - ms) / 200.0), f"{ms:g} ms against a yardstick of 200 ms")


def cost(scene: Scene) -> Judged:
    usd = scene.outcome.cost
    return None if usd is None else (cost_value(usd), f"${usd:g}; free is 1, two dollars or more is -1")


def cost_value(usd: float) -> float:
    """What the term `cost` gives for a cost, before or after it was paid."""
    return clip(1.0 - usd)


def slo(scene: Scene) -> Judged:
    hit = scene.outcome.slo_hit
    return (
        None if hit is None else (1.0, "the service level was met") if hit else (-0.5, "the service level was missed")
    )


def failures(scene: Scene) -> Judged:
    n = scene.outcome.failures
    return None if n is None else (1.0, "no failures") if n == 0 else (-min(1.0, n / 3.0), f"{n} failures")


def success(scene: Scene) -> Judged:
    """A validation outranks the exit code."""
    stated = scene.outcome.success if scene.validation is None else scene.validation
    if stated is None:
        return None
    source = "reported" if scene.validation is None else "validated"
    return (1.0, f"{source} as a success") if stated else (-1.0, f"{source} as a failure")


def gate_outcome(scene: Scene) -> Judged:
    """Success or failure of what the answer let happen; a block has no outcome of its own."""
    return None if scene.action == BLOCK else success(scene)


def gate_failure(scene: Scene) -> Judged:
    """What a failure costs beyond that nothing was won."""
    ended = gate_outcome(scene)
    return None if ended is None else (min(0.0, ended[0]), "nothing failed" if ended[0] > 0.0 else "it failed")


FRICTION = {"HINT": -0.02, "REWRITE": -0.05, BLOCK: -0.15}


def friction(scene: Scene) -> Judged:
    """What an interruption costs the agent, whatever comes of it."""
    value = FRICTION.get(scene.action)
    return (0.0, "let through") if value is None else (value, f"{scene.action} interrupts the agent")


def false_block(scene: Scene) -> Judged:
    if scene.action == BLOCK and scene.appeal_upheld:
        return -0.5, "blocked, and an operator upheld the appeal"
    if scene.action != BLOCK or not scene.outcome.overridden:
        return 0.0, "no block was overridden"
    if scene.outcome.success is None:
        return None
    return (-0.5, "blocked, run anyway, and it succeeded") if scene.outcome.success else (0.0, "the block was right")


def spend(scene: Scene) -> Judged:
    if scene.outcome.cost is None and not scene.uses and not scene.spent_usd:
        return None
    usd = (scene.outcome.cost or 0.0) + scene.spent_usd
    return clip(-usd), f"${usd:g} spent"


def first_uses(scene: Scene) -> Judged:
    """What came of a reflection where it was shown."""
    if not scene.uses:
        return None
    mean = sum(scene.uses) / len(scene.uses)
    return clip(mean), f"its first {len(scene.uses)} use(s) earned {mean:.3g} on average"


def unanswered(scene: Scene) -> Judged:
    """Of a completion: what success is worth is for the caller to say, a call without an answer is a failure."""
    n = scene.outcome.failures
    return None if n is None else (-1.0, "no answer came") if n else (0.0, "an answer came")


def spent(scene: Scene) -> Judged:
    usd = scene.outcome.cost
    return None if usd is None else (spent_value(usd), f"${usd:g} spent; ${HALF_USD:g} is -0.5")


def spent_value(usd: float) -> float:
    """What the term `spent` gives for a cost; it never stops to tell a dear call from a dearer one."""
    return -usd / (usd + HALF_USD)


def waited(scene: Scene) -> Judged:
    ms = scene.outcome.latency_ms
    return None if ms is None else (-ms / (ms + HALF_MS), f"{ms:g} ms until the answer was whole; {HALF_MS:g} is -0.5")


HALF_USD, HALF_MS = 0.01, 10_000.0  # of a completion: where money and time cost half of what they can

TERMS: dict[str, dict[str, Judge]] = {
    "chat": {"success": success, "unanswered": unanswered, "spent": spent, "waited": waited},
    "route": {"latency": latency, "cost": cost, "slo": slo, "failures": failures, "success": success},
    "gate": {
        "outcome": gate_outcome,
        "failure": gate_failure,
        "friction": friction,
        "false_block": false_block,
        "cost": spend,
    },
    "capture": {"uses": first_uses, "cost": spend},
}
DEFAULT_WEIGHTS: dict[str, dict[str, float]] = {
    "chat": {"success": 1.0, "unanswered": 1.0, "spent": 0.3, "waited": 0.1},
    "route": {"latency": 0.4, "cost": 0.3, "slo": 0.2, "failures": 0.1, "success": 0.0},
    "gate": {"outcome": 1.0, "failure": 0.0, "friction": 1.0, "false_block": 1.0, "cost": 1.0},
    "capture": {"uses": 1.0, "cost": 1.0},
}
