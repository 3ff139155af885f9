"""Off-policy evaluation: what a policy would be worth, told from decisions that another one made."""

from .adding import AddedReport, judge_added
from .diagnostics import Diagnostics, calibration
from .estimators import dm, dr, dr_os, importance_weights, influence, ips, model_values, snips, switch_dr
from .front import Front, pareto
from .intervals import Interval, anytime, bootstrap, normal
from .judging import judge
from .log import LoggedDecision, Sight
from .replay import Kept, Replay, edges
from .report import Estimate, Report
from .reward_model import Seen, cross_fitted
from .student import Student
from .tally import Part, Stood, Tally, merged, tally
from .target import Target
from .teaching import taught
from .trajectories import doubly_robust, per_decision, weighted_per_decision

__all__ = [
    "AddedReport",
    "Diagnostics",
    "Estimate",
    "Front",
    "Interval",
    "Kept",
    "LoggedDecision",
    "Part",
    "Replay",
    "Report",
    "Seen",
    "Sight",
    "Stood",
    "Student",
    "Tally",
    "Target",
    "anytime",
    "bootstrap",
    "calibration",
    "cross_fitted",
    "dm",
    "doubly_robust",
    "dr",
    "dr_os",
    "edges",
    "importance_weights",
    "influence",
    "ips",
    "judge",
    "judge_added",
    "merged",
    "model_values",
    "normal",
    "pareto",
    "per_decision",
    "snips",
    "switch_dr",
    "tally",
    "taught",
    "weighted_per_decision",
]
