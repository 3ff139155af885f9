"""What can go wrong while judging.

AuditorError
+-- UnreadableFold     learnt state at rest is damaged or of an unknown format
"""


class AuditorError(Exception):
    """Feedback cannot be turned into learning."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class UnreadableFold(AuditorError):
    """The learnt state is damaged or of an unknown format; it can be folded again from the journal."""
