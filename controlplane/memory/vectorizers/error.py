"""Error traces, by the lines that tell: the cause, and how the trace ends. A model reads only so much of a text."""

from collections.abc import Sequence
from itertools import islice

from auditor.events import Episode

from ...llm.local import root_cause
from .port import OfTexts

LINES, LONGEST = 6, 200  # of the end, and characters of one


class ErrorVectorizer(OfTexts):
    """See the module."""

    source = "error_trace of captures"

    def content(self, episode: Episode, images: Sequence[bytes]) -> str | None:
        return self.telling(episode.error_trace) or None

    def telling(self, text: str) -> str:
        """The line that says what went wrong, and the last ones that differ."""
        lines = (line.strip()[:LONGEST] for line in reversed(text.splitlines()))
        last = list(islice(dict.fromkeys(filter(None, lines)), LINES))
        return "\n".join((root_cause(text), *reversed(last))) if last else ""
