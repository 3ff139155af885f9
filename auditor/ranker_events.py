"""What the ranker weighs, as an event."""

import msgspec

from .event import Event


class Evaluation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """New weights beside those they replace, on sessions that neither was fitted on.

    auc: how likely a memory of a session that went well is ranked above one of a session that failed; `low` is what the
    difference is at least, with a confidence of 95 % (one-sided bootstrap over sessions).
    """

    sessions: int
    held_out: int
    auc_before: float
    auc_after: float
    low: float


class RankerSet(Event, frozen=True, kw_only=True, tag="ranker"):
    """New weights are used from here on; the event's sequence number is their version.

    Without weights, those that are shipped are used again, and what was joined up to here is forgotten.
    """

    weights: dict[str, float]  # by term, in sum 1
    evaluation: Evaluation | None
    by: str = ""
