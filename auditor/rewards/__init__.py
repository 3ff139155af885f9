"""Rewards: a weighted sum of named, bounded, explained terms per decision point."""

from .bounds import bounds
from .reward import JoinRule, Report, default_report, join, score
from .terms import DEFAULT_WEIGHTS, Scene, Term, clip, cost_value, spent_value

__all__ = [
    "DEFAULT_WEIGHTS",
    "JoinRule",
    "Report",
    "Scene",
    "Term",
    "bounds",
    "clip",
    "cost_value",
    "default_report",
    "join",
    "score",
    "spent_value",
]
