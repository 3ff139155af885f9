"""Evictions: a reflection that is bad goes, with whatever was taken from it, and whose it was is told."""

import structlog

from auditor import Learner
from auditor.reflection_events import ReflectionEvicted

from .clock import Clock
from .errands import Errands
from .errors import JournalUnavailable, StorageFull, UnknownReflection
from .failpoints import failpoint
from .journal import Journal
from .memory.purging import overwrite_reflection
from .memory.store import MemoryStore
from .tenants import Caller

log = structlog.get_logger()


class Evictions:
    """Takes bad reflections away."""

    def __init__(self, learner: Learner, journal: Journal, memory: MemoryStore, clock: Clock) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._clock, self._errands = clock, Errands()

    async def evict(self, caller: Caller, reflection_id: str) -> None:
        """Take a reflection away, with whatever was taken from it; the log says whose it was.

        Raises:
          UnknownReflection: this tenant has no such reflection.
        """
        await self._errands.finish(self._evicted(caller, reflection_id))

    async def _evicted(self, caller: Caller, reflection_id: str) -> None:
        bad = self._memory.reflections.get((caller.tenant, reflection_id))
        if bad is None:
            raise UnknownReflection
        log.warning(
            "reflection_evicted",
            reflection=bad.root,
            asked_for=reflection_id,
            by=caller.key_id,
            episodes=self._memory.uses(caller.tenant, bad.root),
            **self._blame(caller.tenant, bad.root),
        )
        episode_id = self._memory.reflections[caller.tenant, bad.root].episode_id
        evicted = ReflectionEvicted(
            tenant=caller.tenant,
            at=self._clock.now(),
            reflection_id=bad.root,
            episode_id=episode_id,
            by=caller.key_id,
        )
        await self._learner.reached(await self._journal.append(evicted))
        failpoint("eviction.appended")
        try:
            await overwrite_reflection(self._journal, caller.tenant, bad.root)
        except (StorageFull, JournalUnavailable) as refusal:
            raise type(refusal)(
                "The reflection is evicted, but its text is still on disk: it is overwritten with the next write, or by"
                " the next start."
            ) from refusal

    def _blame(self, tenant: str, root: str) -> dict[str, object]:
        """Who made it, of what, and whose capture it was made of."""
        made = self._memory.reflections[tenant, root]
        return {"tier": made.tier, "models": made.models, "prompts": made.prompts, "captured_by": made.by}
