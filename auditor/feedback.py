"""What an agent reports about a decision."""

from typing import Annotated

import msgspec

MAX_EXACT_INT = 2**53
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_EXACT_INT)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=float(MAX_EXACT_INT))]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """The fields of a report; what is not stated is missing, never assumed.

    latency_ms in milliseconds, cost in US dollars. `executed` says whether the agent acted on the
    answer; `overridden` that it ran a blocked action anyway; `terminal` that the task ends here.
    """

    success: bool | None = None
    latency_ms: Amount | None = None
    cost: Amount | None = None
    failures: Count | None = None
    slo_hit: bool | None = None
    applied_suggestion: bool | None = None
    executed: bool = True
    overridden: bool = False
    terminal: bool | None = None
    custom: dict[str, float] = {}

    def with_more(self, later: "Outcome") -> "Outcome":
        """Both as one report: what the later one states stands in the place of what this one does.

        >>> both = Outcome(cost=0.1, success=False).with_more(Outcome(success=True))
        >>> both.cost, both.success
        (0.1, True)
        """
        kept = {name: getattr(self, name) for name in STATED if getattr(later, name) is None}
        return msgspec.structs.replace(later, custom=self.custom | later.custom, **kept)


STATED = ("success", "latency_ms", "cost", "failures", "slo_hit", "applied_suggestion", "terminal")
