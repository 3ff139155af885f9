"""Code that failed: a script, a patch, a query."""

from collections.abc import Sequence

from auditor.events import Episode

from ...llm.redaction import redacted
from .port import OfTexts


class CodeVectorizer(OfTexts):
    """What a capture calls its code, else a planned action of several lines: one line is a command, which is text."""

    source = "custom.code of captures, or their planned_action of several lines"

    def content(self, episode: Episode, images: Sequence[bytes]) -> str | None:
        code = episode.custom.get("code")
        if not isinstance(code, str):
            code = episode.planned_action if "\n" in episode.planned_action.strip() else ""
        return redacted(code) or None
