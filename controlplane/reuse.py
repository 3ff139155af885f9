"""Which reflection of another failure a failure can have, how similar the two must be, and whether two say the same."""

import random

import msgspec

from auditor import Learner
from auditor.reflection_events import Insight, Reflected
from auditor.reuse import FLOOR, alike, drawn, hundredths, threshold, told

from .embedding import BatchingEmbedder
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .memory.texts import episode_text

NEAREST = 10  # episodes that are looked at


class Near(msgspec.Struct, frozen=True):
    """The reflection of the most similar episode of the same error class that has one."""

    reflection: Reflected
    similarity: float
    error_class: str


class Reuses:
    """Looks for what can be reused, by what checks said so far."""

    def __init__(
        self, learner: Learner, memory: MemoryStore, embedder: BatchingEmbedder, target: float, seed: int | None
    ) -> None:
        self._learner, self._memory, self._embedder = learner, memory, embedder
        self._target, self._dice = target, random.Random(seed)

    async def nearest(self, tenant: str, record: EpisodeRecord) -> Near | None:
        """In the same namespace, and similar enough to be reused under any threshold.

        Raises:
          EmbeddingUnavailable: the episode cannot be embedded.
          VectorsUnavailable: a hosted index does not answer.
        """
        space, wanted = self._memory.space(tenant, record.episode.namespace), record.episode.error_class
        vector = await self._embedder.embed(episode_text(record.episode))
        found = await space.episode_index.search(vector, NEAREST) if space.episode_index else []
        for episode_id, similarity in found:
            near, similarity = space.episodes.get(episode_id), min(1.0, float(similarity))
            if near is None or near.reflection is None:
                continue
            if hundredths(similarity) >= FLOOR and near.episode.error_class == wanted:
                return Near(near.reflection, similarity, wanted)
        return None

    def threshold(self, tenant: str, error_class: str) -> int:
        """From which similarity on reflections are reused, in hundredths."""
        return threshold(self._learner.state.reuse.of(tenant, error_class), self._target)

    def allows(self, tenant: str, near: Near) -> bool:
        return hundredths(near.similarity) >= self.threshold(tenant, near.error_class)

    def drawn(self, tenant: str, error_class: str) -> bool:
        """Whether the next reuse is checked."""
        return drawn(self._learner.state.reuse.of(tenant, error_class), self._dice.random())

    async def agree(self, insight: Insight, other: Reflected) -> bool:
        """Whether a reflection says the same as an insight.

        Raises:
          EmbeddingUnavailable: one of them cannot be embedded.
        """
        assert other.insight is not None
        one, two = [await self._embedder.embed(told(said)) for said in (insight, other.insight)]
        return alike(float(one @ two))
