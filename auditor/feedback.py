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
