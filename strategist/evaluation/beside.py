"""What comes beside the reward: success, cost and latency of another policy, where the log tells them."""

from collections.abc import Sequence

import numpy as np

from . import estimates
from .estimators import Floats, influence, snips
from .log import LoggedDecision
from .report import Beside


def beside(valued: Sequence[LoggedDecision], weights: Floats, seed: int, *, told: bool) -> dict[str, Beside]:
    """Success, cost and latency, where the log tells them."""
    found = {}
    for name in ("success", "cost_usd", "latency_ms"):
        known = np.array([getattr(decision, name) is not None for decision in valued])
        if known.sum() < 2 or not weights[known].any():
            continue
        outcomes = np.array([float(getattr(d, name)) for d, is_known in zip(valued, known, strict=True) if is_known])
        held = weights[known]
        moved = influence(snips(outcomes, held), outcomes, held)
        found[name] = Beside(
            decisions=len(outcomes),
            policy=estimates.ratio(held * outcomes, held, moved, seed) if told else None,
            logged=estimates.mean(outcomes, seed),
        )
    return found
