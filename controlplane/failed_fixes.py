"""Advice that failed is embedded as the command it is, so that what is like it is found to be risky too.

A command that agents plan is found by its first decision; a fix that was only ever advised would be known by its very
words alone.
"""

import contextlib

from auditor import Learner
from auditor.events import SignatureSeen

from .clock import Clock
from .embedding import BatchingEmbedder, EmbeddingUnavailable
from .errors import JournalUnavailable, StorageFull
from .journal import Journal
from .memory.actions import signature_of
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .memory.texts import plan_text


class FailedFixes:
    """Makes the fixes of memories findable, once they failed."""

    def __init__(
        self, learner: Learner, journal: Journal, memory: MemoryStore, embedder: BatchingEmbedder, clock: Clock
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._embedder, self._clock = embedder, clock

    async def note(self, tenant: str, record: EpisodeRecord) -> None:
        """The fix was run and failed. Where it cannot be embedded or written, it stays as it is until it fails again.

        What was reported of it is journalled already, so nothing here may refuse the report.
        """
        command, namespace = record.episode.resolution, record.episode.namespace
        known = self._memory.space(tenant, namespace).signatures
        if not command or signature_of(command) in known:
            return
        text = plan_text("", command)
        with contextlib.suppress(EmbeddingUnavailable, JournalUnavailable, StorageFull):
            vector = await self._embedder.embed(text)
            seen = SignatureSeen(
                tenant=tenant,
                at=self._clock.now(),
                namespace=namespace,
                signature=signature_of(command),
                text=text,
                embedder=self._embedder.name,
                vector=vector.tobytes(),
            )
            await self._learner.passed(await self._journal.append(seen))
