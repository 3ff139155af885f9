"""The rules that the settings ask the fold to follow: each point's policy, reward mix and window."""

import msgspec

from auditor import PointRules, Rules
from auditor.rewards import DEFAULT_WEIGHTS
from strategist import EpsilonDecay, Estimates, ExplorationName, Mode, PolicySettings, StepSize, exploration_rule

from .settings import Settings

EPSILON = 0.1  # where greed leaves everything that is unsure to chance
SUPPORT = 0.005  # beside a rule that tries by itself what is unsure: every action keeps some probability in the log
RELATIVES_VISITS = 5
CAPTURE_WINDOW_S = 7 * 86_400.0  # in which a reflection may be used before the choice of its tier is judged


def rules_of(settings: Settings, spec_hashes: dict[str, str]) -> Rules:
    """The rules of the fold that the settings ask for, of the points whose feature specs are given."""
    ways = {
        "gate": (gate_policy(settings), settings.gate_window_s),
        "route": (route_policy(settings, settings.route_mode), settings.route_window_s),
        "chat": (route_policy(settings, settings.chat_mode), settings.chat_window_s),
        "capture": (capture_policy(settings), CAPTURE_WINDOW_S),
    }
    points = {
        name: PointRules(
            policy=policy,
            spec_hash=spec_hashes[name],
            weights=DEFAULT_WEIGHTS[name],
            join="together" if name == "chat" else "last",
            window_s=window_s,
            risk_ceiling=settings.risk_ceiling,
            audit_ceiling=settings.audit_ceiling,
            audit_share=settings.audit_share,
            withheld_share=settings.withheld_share,
        )
        for name, (policy, window_s) in ways.items()
        if name in spec_hashes
    }
    return Rules(points=points, trajectory_ttl_s=settings.trajectory_ttl_s)


def gate_policy(settings: Settings) -> PolicySettings:
    """The tables decide, so that a verdict can be read off them; the fixed rule is their prior."""
    return _policy(
        settings, settings.gate_mode, settings.exploration or "epsilon_greedy", settings.estimates or "table"
    )


def capture_policy(settings: Settings) -> PolicySettings:
    """As at the gate; there is no mode of its own before an operator sets one."""
    return _policy(settings, "learning", settings.exploration or "epsilon_greedy", settings.estimates or "table")


def route_policy(settings: Settings, mode: Mode) -> PolicySettings:
    """Tables and linear weights together; candidates and models nobody knows start as their relatives are."""
    by_default: ExplorationName = "thompson" if settings.epsilon is None else "epsilon_greedy"
    exploration, estimates = settings.exploration or by_default, settings.estimates or "stacked"
    policy = _policy(settings, mode, exploration, estimates)
    return msgspec.structs.replace(policy, relatives_visits=RELATIVES_VISITS)


def _policy(settings: Settings, mode: Mode, exploration: ExplorationName, estimates: Estimates) -> PolicySettings:
    return PolicySettings(
        mode=mode,
        gamma=settings.gamma,
        step=StepSize(alpha=settings.alpha),
        epsilon=_epsilon(settings.epsilon, exploration),
        apprentice_share=settings.apprentice_share,
        exploration=exploration_rule(exploration),
        estimates=estimates,
        update=settings.update_rule,
        replayed=settings.experience,
    )


def _epsilon(start: float | None, exploration: ExplorationName) -> EpsilonDecay:
    """Rules that try by themselves what is unsure need only so much that every action keeps some support in the log."""
    if exploration == "epsilon_greedy":
        return EpsilonDecay(start=EPSILON if start is None else start)
    return EpsilonDecay(start=SUPPORT if start is None else start, floor=SUPPORT)
