"""What was wanted and done, in words: the modality that the gate recalls by."""

from collections.abc import Sequence

from auditor.events import Episode

from ..texts import episode_text
from .port import OfTexts


class TextVectorizer(OfTexts):
    """See the module."""

    source = "goal and planned_action of captures"

    def content(self, episode: Episode, images: Sequence[bytes]) -> str:
        return episode_text(episode)
