"""What a replay answers."""

import msgspec

from .diagnostics import Bin, Diagnostics
from .intervals import Interval


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A value with its intervals of 95 %.

    normal, bootstrap: approximate; they hold for large logs of a fixed policy.
    anytime: holds for every log, for the value itself and so beside every estimate of it; None where the range of the
      rewards is not known.
    """

    value: float
    normal: Interval
    bootstrap: Interval
    anytime: Interval | None = None


class Lacking(msgspec.Struct, frozen=True, kw_only=True):
    """A state in which the policy takes actions that the log could not take.

    probability: of such actions, added up over the state's decisions.
    """

    state: str
    decisions: int
    actions: list[str]
    probability: float


class BlockValue(msgspec.Struct, frozen=True, kw_only=True):
    """The policy as it was before a block, on the decisions of that block. Values are None where they are refused."""

    first_row: int
    last_row: int
    decisions: int
    learnt: int
    effective: float
    logged: float
    ips: float | None
    snips: float | None
    dr: float | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A decision that would differ."""

    row: int
    state: str
    logged: str
    now: str


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions would differ, by the policy's likeliest action, and some of them, each kind once."""

    decisions: int
    share: float
    examples: list[Difference]


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """What comes beside the reward: the policy's (by snips) and the log's, over the decisions that told it."""

    decisions: int
    policy: Estimate | None
    logged: Estimate


class TasksReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whole tasks, discounted: what those are worth that begin in the valued part."""

    tasks: int
    longest: int
    refused: list[str]
    diagnostics: Diagnostics
    logged: Estimate
    values: dict[str, Estimate]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a replay answers; `values` is empty where `refused` says why.

    explored: share of the valued decisions that came from the logging policy's exploration.
    """

    decisions: int
    learnt_first: int
    valued: int
    explored: float
    refused: list[str]
    diagnostics: Diagnostics
    calibration: list[Bin]
    lacking: list[Lacking]
    reward_range: tuple[float, float] | None
    logged: Estimate
    values: dict[str, Estimate]
    tasks: TasksReport | None
    blocks: list[BlockValue]
    differences: Differences
    beside: dict[str, Beside]
    cannot: list[str]
