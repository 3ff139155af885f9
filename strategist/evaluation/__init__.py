"""Off-policy evaluation: what a policy would be worth, told from decisions that another one made."""

from .diagnostics import Diagnostics, calibration
from .estimators import dm, dr, dr_os, importance_weights, influence, ips, model_values, snips, switch_dr
from .front import Front, pareto
from .intervals import Interval, anytime, bootstrap, normal
from .judging import judge
from .log import LoggedDecision, Sight
from .replay import Kept, Replay
from .report import Estimate, Report
from .reward_model import Seen, cross_fitted
from .target import Target
from .trajectories import doubly_robust, per_decision, weighted_per_decision

__all__ = [
    "Diagnostics",
    "Estimate",
    "Front",
    "Interval",
    "Kept",
    "LoggedDecision",
    "Replay",
    "Report",
    "Seen",
    "Sight",
    "Target",
    "anytime",
    "bootstrap",
    "calibration",
    "cross_fitted",
    "dm",
    "doubly_robust",
    "dr",
    "dr_os",
    "importance_weights",
    "influence",
    "ips",
    "judge",
    "model_values",
    "normal",
    "pareto",
    "per_decision",
    "snips",
    "switch_dr",
    "weighted_per_decision",
]
