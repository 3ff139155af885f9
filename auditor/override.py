"""What an operator set at one point of one tenant in the place of the settings."""

from typing import Annotated

import msgspec
from msgspec import Meta

from strategist import ExplorationName, Mode, PolicySettings, exploration_rule

from .guards import Guard
from .rules import HandOver, PointRules

Unit = Annotated[float, Meta(ge=0, le=1)]


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hyper-parameters of learning and exploring; None: as the settings say."""

    gamma: Unit | None = None
    alpha: Annotated[float, Meta(ge=0.0001, le=1)] | None = None
    epsilon: Unit | None = None
    exploration: ExplorationName | None = None

    def over(self, policy: PolicySettings) -> PolicySettings:
        """The settings with these in their place."""
        steps, decay, rule = policy.step, policy.epsilon, policy.exploration
        return msgspec.structs.replace(
            policy,
            gamma=policy.gamma if self.gamma is None else self.gamma,
            step=steps if self.alpha is None else msgspec.structs.replace(steps, alpha=self.alpha),
            epsilon=decay if self.epsilon is None else msgspec.structs.replace(decay, start=self.epsilon),
            exploration=rule if self.exploration is None else exploration_rule(self.exploration),
        )


SINGLE = ("risk_ceiling", "audit_ceiling", "audit_share", "hand_over")  # set as they are


class Override(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """None, or no entry: as the settings say."""

    mode: Mode | None = None
    weights: dict[str, float] = {}  # of the terms that weigh otherwise
    risk_ceiling: float | None = None
    audit_ceiling: float | None = None
    audit_share: float | None = None
    hand_over: HandOver | None = None
    tuning: Tuning = Tuning()
    guards: tuple[Guard, ...] = ()

    def over(self, rules: PointRules) -> PointRules:
        """The point's rules with this in force.

        >>> from strategist import PolicySettings
        >>> settings = PointRules(policy=PolicySettings(), spec_hash="", weights={"cost": 1.0}, window_s=60.0)
        >>> Override(mode="frozen", weights={"cost": 0.5}).over(settings).weights
        {'cost': 0.5}
        """
        tuned = self.tuning.over(rules.policy)
        policy = tuned if self.mode is None else msgspec.structs.replace(tuned, mode=self.mode)
        said = {name: value for name in SINGLE if (value := getattr(self, name)) is not None}
        weights = rules.weights | self.weights
        return msgspec.structs.replace(rules, policy=policy, weights=weights, guards=self.guards, **said)
