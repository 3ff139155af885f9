"""What is asked of a vectoriser, and what those have in common that embed texts."""

from collections.abc import Sequence
from typing import Protocol

from auditor.events import Episode

from ...contract import MAX_TRACE
from ...embedding import BatchingEmbedder, Vector
from ...errors import Unprocessable
from ...llm.redaction import redacted
from ...settings import Settings

Content = str | tuple[bytes, ...]  # a text, or what was sent and is not stored


class Vectorizer(Protocol):
    """One modality: what of a failure it embeds, and with what."""

    source: str  # where its records come from, for whoever looks at /status

    def __init__(self, embedder: BatchingEmbedder, settings: Settings) -> None: ...

    @property
    def model(self) -> str:
        """Vectors of different models cannot be compared; "" while there is none."""
        ...

    @property
    def dimension(self) -> int:
        """0 while the model is not loaded."""
        ...

    def content(self, episode: Episode, images: Sequence[bytes]) -> Content | None:
        """What it embeds of a failure; None where the failure has nothing of the kind. Of the past there are no images.

        Raises:
          Unprocessable: there is something, and it cannot be embedded.
        """
        ...

    def query(self, asked: str) -> Content:
        """What a search asks for, in the form of a content.

        Raises:
          Unprocessable: it cannot be that.
        """
        ...

    async def embed(self, content: Content) -> Vector:
        """A unit vector [D].

        Raises:
          Unprocessable: the content is damaged.
          EmbeddingUnavailable: it cannot be embedded now.
        """
        ...


class OfTexts:
    """Embeds texts with the embedder that the settings name."""

    def __init__(self, embedder: BatchingEmbedder, settings: Settings) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        return self._embedder.name

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    def query(self, asked: str) -> Content:
        """Raises Unprocessable: it is longer than any text that is kept."""
        if len(asked) > MAX_TRACE:
            raise Unprocessable(f"query has {len(asked)} characters; at most {MAX_TRACE} are taken here")
        return self.telling(redacted(asked))

    def telling(self, text: str) -> str:
        """What of a text is embedded."""
        return text

    async def embed(self, content: Content) -> Vector:
        """Raises EmbeddingUnavailable."""
        assert isinstance(content, str)
        return await self._embedder.embed(content)
