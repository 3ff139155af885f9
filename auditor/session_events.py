"""Sessions as events: what a query was shown, and what came of it."""

import msgspec

from .event import Event
from .trace import Offered

Ranked = dict[str, float]  # a score taken apart, each term in [0, 1]


class Shown(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A memory that a query was shown: an episode or a passage, by the number of its event.

    `of` is what its origin is (bots, workflows, ...).
    """

    item: int
    kind: str
    origin: str
    of: str
    scores: Ranked


class Queried(Event, frozen=True, kw_only=True, tag="query"):
    """A query was answered with these memories; what comes of it is reported under the session's id."""

    session_id: str
    namespace: str
    shown: tuple[Shown, ...]
    offered: tuple[Offered, ...] = ()  # what was drawn to be shown, or withheld
    by: str = ""

    @property
    def ref(self) -> str:
        return self.session_id


class SessionReported(Event, frozen=True, kw_only=True, tag="session_outcome"):
    """What came of a session. `contribution` in [0, 1] is how much it was worth, or cost where it failed.

    `used` are the memories that were acted on, None where nobody said; `counts`: its key had not used up its share.
    """

    session_id: str
    success: bool
    contribution: float = 1.0
    used: tuple[int, ...] | None = None
    by: str = ""
    counts: bool = True

    @property
    def ref(self) -> str:
        return self.session_id
