"""How long each tier lately took to reflect: what a caller must be ready to wait for it."""

from collections import deque
from collections.abc import Mapping

KEPT = 100  # of the newest answers of a tier
MOST = 0.9  # share of them that came within the time


class AnswerTimes:
    """Of this process; before anything is measured the catalogue says what to expect."""

    def __init__(self, expected_ms: Mapping[str, float]) -> None:
        self._expected_ms = expected_ms
        self._measured: dict[str, deque[float]] = {}

    def note(self, tier: str, took_ms: float) -> None:
        """An answer of the tier came after so many milliseconds."""
        self._measured.setdefault(tier, deque(maxlen=KEPT)).append(took_ms)

    def needed_ms(self, tier: str) -> float:
        """Milliseconds within which nine of ten of its last answers came."""
        if not (measured := sorted(self._measured.get(tier, ()))):
            return self._expected_ms[tier]
        return measured[min(len(measured) - 1, int(MOST * len(measured)))]
