"""Skills in words: once a fix is surfaced as a skill, a cheap model says what it is called, when to use it, and how."""

import msgspec

from auditor import Learner
from auditor.answers import ValidationResult
from auditor.events import Recorded, Validated
from auditor.fold import Applied
from auditor.skill_events import SkillDescribed

from .clock import Clock
from .errors import PointsmanError
from .failpoints import failpoint
from .jobs import Job
from .journal import Journal
from .llm.models import Models
from .llm.reflecting import NoReflection
from .memory.purging import overwrite_description
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .outbox import Outbox, TryFailed
from .reflections import Reflects

WORK = "skill_text"


class Owed(msgspec.Struct, frozen=True):
    """A description as its job holds it; `by` is the key whose validation surfaced the skill."""

    tenant: str
    episode_id: int
    by: str


class Describes:
    """Has done what a job names."""

    def __init__(
        self, learner: Learner, journal: Journal, memory: MemoryStore, models: Models, reflects: Reflects, clock: Clock
    ) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._models, self._reflects, self._clock = models, reflects, clock

    async def __call__(self, job: Job) -> None:
        """Raises TryFailed unless the skill has its words, or needs none any more."""
        owed = msgspec.convert(job.body, Owed)
        if not self._memory.live:
            raise TryFailed("memory is not loaded yet")
        record = self._memory.episode(owed.tenant, owed.episode_id)
        if record is None or record.made.described is not None or not self._models.of("cheap"):
            return
        try:
            await self._describe(owed, record, job.fence)
        except (NoReflection, PointsmanError) as error:
            raise TryFailed(str(error)) from error

    async def _describe(self, owed: Owed, record: EpisodeRecord, fence: int) -> None:
        """Raises NoReflection."""
        models = self._models.of("cheap")
        model = models[(fence - 1) % len(models)]
        if why := self._reflects.no_room(owed.tenant, owed.by, model, record):
            raise NoReflection(why)
        made = await self._reflects.reflector.describe(owed.tenant, owed.by, model, record.episode)
        described = SkillDescribed(
            tenant=owed.tenant, at=self._clock.now(), episode_id=owed.episode_id, by=owed.by, **made._asdict()
        )
        seq = await self._journal.append(described)
        failpoint("skill.appended")
        await self._learner.reached(seq)
        if self._memory.episode(owed.tenant, owed.episode_id) is None:  # it was purged meanwhile
            await overwrite_description(self._journal, owed.tenant, described)


class Descriptions:
    """Owes the words of skills that were surfaced."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def observe(self, recorded: Recorded, applied: Applied) -> None:
        """Owe them once a validation surfaced a skill; not again when an event is folded another time."""
        event, seq, answer = recorded.event, recorded.seq, applied.answer
        if not self._outbox.follows(WORK, recorded):
            return
        if isinstance(event, Validated) and isinstance(answer, ValidationResult) and answer.skill_id == seq:
            owed = Owed(event.tenant, event.episode_id, event.by)
            self._outbox.add(WORK, f"{event.tenant}/{event.episode_id}", msgspec.structs.asdict(owed), seq)
