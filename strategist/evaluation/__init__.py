"""Off-policy evaluation: what a policy would be worth, told from decisions that another one made."""

from .diagnostics import Diagnostics, unsupported
from .estimators import dm, dr, dr_os, importance_weights, ips, model_values, snips, switch_dr
from .intervals import Interval, anytime, bootstrap, normal
from .reward_model import cross_fitted
from .trajectories import doubly_robust, per_decision, weighted_per_decision

__all__ = [
    "Diagnostics",
    "Interval",
    "anytime",
    "bootstrap",
    "cross_fitted",
    "dm",
    "doubly_robust",
    "dr",
    "dr_os",
    "importance_weights",
    "ips",
    "model_values",
    "normal",
    "per_decision",
    "snips",
    "switch_dr",
    "unsupported",
    "weighted_per_decision",
]
