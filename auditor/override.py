"""What an operator set at one point of one tenant in the place of the settings."""

import msgspec

from strategist import Mode

from .guards import Guard
from .rules import HandOver, PointRules

SINGLE = ("risk_ceiling", "audit_ceiling", "audit_share", "hand_over")  # set as they are


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """None, or no entry: as the settings say."""

    mode: Mode | None = None
    weights: dict[str, float] = {}  # of the terms that weigh otherwise
    risk_ceiling: float | None = None
    audit_ceiling: float | None = None
    audit_share: float | None = None
    hand_over: HandOver | None = None
    guards: tuple[Guard, ...] = ()

    def over(self, rules: PointRules) -> PointRules:
        """The point's rules with this in force.

        >>> from strategist import PolicySettings
        >>> settings = PointRules(policy=PolicySettings(), spec_hash="", weights={"cost": 1.0}, window_s=60.0)
        >>> Override(mode="frozen", weights={"cost": 0.5}).over(settings).weights
        {'cost': 0.5}
        """
        policy = rules.policy if self.mode is None else msgspec.structs.replace(rules.policy, mode=self.mode)
        said = {name: value for name in SINGLE if (value := getattr(self, name)) is not None}
        weights = rules.weights | self.weights
        return msgspec.structs.replace(rules, policy=policy, weights=weights, guards=self.guards, **said)
