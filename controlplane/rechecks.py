"""Checks of reuses, in the background: a cheap model says what it makes of the failure, and the two are compared.

Where the reuse was wrong, what the model said takes its place for that failure.
"""

import msgspec
import structlog

from auditor import Learner
from auditor.reflection_events import Reflected, ReuseChecked

from .clock import Clock
from .embedding import EmbeddingUnavailable
from .errors import PointsmanError
from .ids import new_id
from .jobs import Job
from .journal import Journal
from .llm.models import Models
from .llm.reflecting import NoReflection
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .outbox import TryFailed
from .reflections import OwedCheck, Reflects
from .reflector import Made
from .reuse import Reuses

log = structlog.get_logger()


class Rechecks:
    """Checks what a job names."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        reuses: Reuses,
        models: Models,
        reflects: Reflects,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory, self._clock = learner, journal, memory, clock
        self._reuses, self._models, self._reflects = reuses, models, reflects

    async def __call__(self, job: Job) -> None:
        """Raises TryFailed unless the reuse was checked, is none any more, or the purse has no room to look at it."""
        owed = msgspec.convert(job.body, OwedCheck)
        if not self._memory.live:
            raise TryFailed("memory is not loaded yet")
        reuse = self._memory.reflections.get((owed.tenant, owed.reflection_id))
        record = None if reuse is None else self._memory.episode(owed.tenant, reuse.episode_id)
        if reuse is None or record is None or not self._models.of("cheap"):
            return
        try:
            if not await self._journal.about(owed.tenant, owed.reflection_id, "reuse_checked"):
                await self._check(reuse, record, job.fence)
        except (NoReflection, EmbeddingUnavailable, PointsmanError) as error:
            raise TryFailed(str(error)) from error

    async def _check(self, reuse: Reflected, record: EpisodeRecord, fence: int) -> None:
        models = self._models.of("cheap")
        model = models[(fence - 1) % len(models)]
        if self._reflects.no_room(reuse.tenant, reuse.by, model, record):
            return
        made = await self._reflects.reflector.cheap(reuse.tenant, reuse.by, model, record.episode)
        agreed = await self._reuses.agree(made.insight, reuse)
        checked = ReuseChecked(
            tenant=reuse.tenant,
            at=self._clock.now(),
            reflection_id=reuse.reflection_id,
            of=reuse.root,
            error_class=record.episode.error_class,
            similarity=reuse.similarity,
            agreed=agreed,
            reused=True,
            nano_usd=made.nano_usd,
        )
        if agreed:
            await self._learner.passed(await self._journal.append(checked))
        else:
            await self._replace(reuse, made, checked)

    async def _replace(self, reuse: Reflected, made: Made, checked: ReuseChecked) -> None:
        instead = Reflected(
            tenant=reuse.tenant,
            at=checked.at,
            reflection_id=new_id("rf"),
            episode_id=reuse.episode_id,
            tier="cheap",
            by=reuse.by,
            replaces=reuse.reflection_id,
            **made._asdict(),
        )
        await self._reflects.keep(instead, checked)
        log.warning(
            "reuse_was_wrong",
            reflection=reuse.reflection_id,
            of=reuse.root,
            instead=instead.reflection_id,
            similarity=round(reuse.similarity, 4),
            threshold=self._reuses.threshold(reuse.tenant, checked.error_class) / 100,
        )
