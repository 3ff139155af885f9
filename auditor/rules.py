"""The rules a fold follows. They are journalled as an event, so that a later fold follows the same ones."""

from hashlib import blake2b
from typing import Literal

import msgspec

from strategist import PolicySettings

from .guards import Guard
from .rewards import JoinRule
from .trace import LearnOn

# Who makes an apprentice's table act: an operator, or the proof that it is better than the rule.
HandOver = Literal["operator", "automatic"]


class PointRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one decision point decides and learns: its policy, feature spec, reward mix and window, and what binds it."""

    policy: PolicySettings
    spec_hash: str
    weights: dict[str, float]
    join: JoinRule = "last"
    window_s: float
    risk_ceiling: float = 0.8  # above this risk nothing laxer than the preferred verdict is drawn
    audit_ceiling: float = 0.6  # below this risk a share of BLOCK is let through, to see whether it was right
    audit_share: float = 0.05
    withheld_share: float = 0.05  # below the same risk, of each memory that would be told
    hand_over: HandOver = "operator"
    guards: tuple[Guard, ...] = ()


class PromotionRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a validated fix is surfaced as a skill (the Vritti system's rule)."""

    validations: int = 3
    success_rate: float = 0.9


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that changes a fold besides its events."""

    points: dict[str, PointRules]
    trajectory_ttl_s: float = 1800.0
    promotion: PromotionRules = PromotionRules()

    @property
    def hash(self) -> str:
        return blake2b(msgspec.json.encode(self, order="sorted"), digest_size=8).hexdigest()


def learn_on(point: str, action: str) -> LearnOn:
    """Whether the first outcome teaches, the reward must be complete first (advice at gate, chat), or uses of it do."""
    if point == "capture":
        return "uses"
    return "complete" if point == "chat" or (point == "gate" and action != "PROCEED") else "feedback"
