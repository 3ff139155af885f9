"""Capture: which tier of language models reflects on a failure that is new.

Nobody asks for it: the capture itself does. A stored reflection of a similar failure costs nothing, a cheap model
little, several readings of a premium one their price; what is learnt is whether that was worth it.
"""

from collections.abc import Mapping, Sequence

from auditor.events import Episode
from auditor.guards import Facing
from auditor.money_events import Tier
from auditor.trace import Lesson
from strategist import Eligible, HeadChoice, State
from strategist.features.bins import Fact

from ..contract import DecisionRequest
from ..ids import new_id
from ..memory.captured import tool_family
from .guarding import allowed_tiers
from .point import Acting, Evidence, Executed, Features, Point
from .tiers import TIERS

SEVERE = 0.8  # severity from which on several readings are worth their price


class CaptureEvidence(Evidence, kw_only=True):
    """Which tiers cannot be had, each with the reason, what guard rules look at, and the key that captures."""

    masked: Mapping[Tier, str]
    facing: Facing
    by: str


class CapturePoint(Point[CaptureEvidence]):
    """See the module."""

    name = "capture"
    heads = ("tier",)

    def __init__(self) -> None:
        self.features = Features("capture.toml")

    def known(
        self, episode: Episode, by: str, masked: Mapping[Tier, str], nearest: float | None, purse: float | None
    ) -> CaptureEvidence:
        """What the choice rests on.

        Args:
          by: the key that captures it.
          nearest: similarity of the nearest failure that has a reflection.
          purse: share that is left of the limit of which least is left; None where there is no limit.
        """
        rule = _rule(episode.severity, masked)
        facts: dict[str, Fact] = {
            "rule": rule,
            "severity": episode.severity,
            "error_class": episode.error_class,
            "nearest": nearest,
            "tool_family": tool_family(episode),
            "purse": purse,
        }
        facing = Facing(environment=episode.environment)
        return CaptureEvidence(facts=facts, rule=rule, prior=rule, masked=masked, facing=facing, by=by)

    def eligible(
        self, head: str, evidence: CaptureEvidence, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        allowed = Eligible(actions=TIERS)
        for tier, why in evidence.masked.items():
            allowed = allowed.without(tier, why)
        return allowed_tiers(allowed, acting.rules.guards, evidence.facing)

    async def execute(
        self, evidence: CaptureEvidence, request: DecisionRequest, taken: Sequence[HeadChoice]
    ) -> Executed:
        """Name the reflection that is owed; a job of the outbox makes it."""
        return Executed(record={"by": evidence.by}, lesson=Lesson(new_id("rf")))


def _rule(severity: float, masked: Mapping[Tier, str]) -> str | None:
    """A stored reflection where there is one, several readings where much is at stake, else one; None if none can."""
    wanted: tuple[Tier, ...] = ("cached", "premium", "cheap") if severity >= SEVERE else TIERS
    return next((tier for tier in wanted if tier not in masked), None)
