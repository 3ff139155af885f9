"""Exploration policies: from values to a probability for every eligible action.

A policy is a mixture: with probability `uniform` any eligible action, else as its preference says.
Sampling happens in `sample` alone.
"""

from .greedy import follow, greedy
from .mixture import Mixture, sample
from .rules import (
    EXPLORATION_RULES,
    EpsilonGreedy,
    ExplorationName,
    ExplorationRule,
    InverseGap,
    Softmax,
    Thompson,
    Ucb,
    exploration_rule,
)

__all__ = [
    "EXPLORATION_RULES",
    "EpsilonGreedy",
    "ExplorationName",
    "ExplorationRule",
    "InverseGap",
    "Mixture",
    "Softmax",
    "Thompson",
    "Ucb",
    "exploration_rule",
    "follow",
    "greedy",
    "sample",
]
