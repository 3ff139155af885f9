"""What scored decisions prove beside what they teach: who would decide better, and which blocks were wrong."""

import msgspec

from .comparison import Comparison
from .credit import OpenDecision
from .false_blocks import FalseBlocks
from .rewards import bounds
from .rival import Rival


class Proof(msgspec.Struct):
    """Of one tenant: comparisons by point, and the gate's false blocks."""

    comparisons: dict[str, Comparison] = {}
    false_blocks: FalseBlocks = msgspec.field(default_factory=FalseBlocks)

    def see(self, decision: OpenDecision, weights: dict[str, float], rival: Rival | None) -> None:
        """Take in a decision that has its reward; what was compared with an earlier challenger is over."""
        if decision.audit_weight and (worked := decision.plan_worked) is not None:
            self.false_blocks.see(decision.audit_weight, worked=worked)
        if decision.weighed is None or decision.report is None:
            return
        lowest, highest = bounds(decision.point, weights)
        share = (decision.report.total - lowest) / (highest - lowest) if highest > lowest else 0.0
        comparison: Comparison | None = None
        if decision.weighed.who == "table":
            comparison = self.comparisons.setdefault(decision.point, Comparison())
        elif rival is not None and rival.number == decision.weighed.since:
            comparison = rival.comparison
        if comparison is not None:
            comparison.add(decision.weighed, min(1.0, max(0.0, share)))
