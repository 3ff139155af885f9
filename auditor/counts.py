"""How often a point decided, and what."""

import msgspec

from .trace import PROCEED, Trace


class PointCounts(msgspec.Struct):
    """What /status says of a point."""

    decisions: int = 0
    agreed_with_rule: int = 0
    interventions: int = 0  # anything but PROCEED
    interventions_by_exploration: int = 0

    def see(self, trace: Trace) -> None:
        """Count one decision."""
        self.decisions += 1
        self.agreed_with_rule += trace.rule is not None and trace.action == trace.rule
        if trace.point == "gate" and trace.action != PROCEED:
            self.interventions += 1
            self.interventions_by_exploration += trace.explored
