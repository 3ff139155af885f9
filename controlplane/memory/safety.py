"""What is left out of an answer for safety's sake, and why: each filter has a name that it is counted under."""

from typing import NamedTuple

from ..contract import Safety
from ..errors import Unprocessable
from ..licences import Denylist, Said

DAY_S = 86_400.0


class Looks(NamedTuple):
    """What the filters look at in a memory. What its source did not state is 0, or None for a licence.

    text: what its licence is read off, of a passage all of its document; trust: how far its origin is, in [0, 1].
    """

    at: float
    alignment_severity: float = 0.0
    semantic_alerts: int = 0
    license: str | None = None
    text: str | Said = ""
    trust: float = 0.5


class Filters:
    """The bounds of one request, and the licences that the server denies whoever asks.

    Raises:
      Unprocessable: a fingerprint that is none.
    """

    def __init__(self, bounds: Safety, denied: Denylist, now: float) -> None:
        self._bounds, self._now = bounds, now
        try:
            self._denied = denied, Denylist(",".join(bounds.license_denylist))
        except ValueError as error:
            raise Unprocessable(f"safety.license_denylist: {error}") from error

    def reason(self, memory: Looks) -> str | None:
        """The name of the first filter that the memory does not pass; None where it may be told."""
        bounds = self._bounds
        if bounds.max_alignment_severity is not None and memory.alignment_severity > bounds.max_alignment_severity:
            return "alignment_severity"
        if bounds.max_alerts is not None and memory.semantic_alerts > bounds.max_alerts:
            return "semantic_alerts"
        if any(denied.objection(memory.license, memory.text) for denied in self._denied):
            return "license"
        if bounds.max_age_days is not None and self._now - memory.at > bounds.max_age_days * DAY_S:
            return "age"
        if bounds.min_trust is not None and memory.trust < bounds.min_trust:
            return "trust"
        return None
