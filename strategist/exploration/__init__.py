"""Exploration policies: from values to a probability for every eligible action.

A policy is a mixture: with probability `uniform` any eligible action, else the policy's own pick.
Sampling happens in `sample` alone.
"""

from .epsilon_greedy import epsilon_greedy
from .greedy import follow, greedy
from .mixture import Mixture, sample

__all__ = ["Mixture", "epsilon_greedy", "follow", "greedy", "sample"]
