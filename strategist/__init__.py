"""The strategist chooses: states, tabular action values, exploration, policies.

Pure: no I/O, no clock, no global random numbers, no logging. Imports numpy, msgspec and the
standard library only.
"""

from .errors import BadSpec, NoEligibleAction, SpecMismatch, StrategistError
from .exploration import ExplorationName, exploration_rule
from .policy import Mode, Policy, PolicySettings, UpdateRule
from .schedules import EpsilonDecay, StepSize
from .snapshot import PolicySnapshot
from .tables import BackoffTable, QTable
from .types import Eligible, HeadChoice, Link, Move, Situation, State, Step, Transition, Update
from .values import Estimates

__all__ = [
    "BackoffTable",
    "BadSpec",
    "Eligible",
    "EpsilonDecay",
    "Estimates",
    "ExplorationName",
    "HeadChoice",
    "Link",
    "Mode",
    "Move",
    "NoEligibleAction",
    "Policy",
    "PolicySettings",
    "PolicySnapshot",
    "QTable",
    "Situation",
    "SpecMismatch",
    "State",
    "Step",
    "StepSize",
    "StrategistError",
    "Transition",
    "Update",
    "UpdateRule",
    "exploration_rule",
]
