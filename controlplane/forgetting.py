"""Memories that nobody came back to for long are set aside; whoever comes back to one brings it back."""

from auditor import Learner
from auditor.events import Decided, Recorded
from auditor.hygiene_events import EpisodesArchived

from .clock import Clock
from .journal import Journal
from .memory.ranking import DAY_S
from .memory.store import MemoryStore

EVERY_S = 3600.0
SEEN_S = DAY_S  # that a process has to have seen of decisions before it says what nobody comes back to
PAGE = 1000  # episodes of one event


class Forgetting:
    """Archives what was neither captured nor cited for so many days, and of whose fix nobody ever said anything."""

    def __init__(
        self, learner: Learner, journal: Journal, memory: MemoryStore, clock: Clock, after_days: float
    ) -> None:
        self._learner, self._journal, self._memory, self._clock = learner, journal, memory, clock
        self._after_s = after_days * DAY_S
        self._due = clock.monotonic() + SEEN_S
        self._cited: dict[tuple[str, int], float] = {}  # when a decision rested on an episode last

    def observe(self, recorded: Recorded) -> None:
        """Remember which episodes decisions rest on."""
        event = recorded.event
        if self._after_s and isinstance(event, Decided):
            self._cited.update({(event.tenant, episode_id): event.at for episode_id in event.trace.cited})

    async def follow_evidence(self) -> None:
        """Set aside what is due, once an hour; what was cited too long ago is forgotten here, too."""
        now = self._clock.now()
        if not self._after_s or self._clock.monotonic() < self._due or not self._memory.live:
            return
        self._due = self._clock.monotonic() + EVERY_S
        self._cited = {place: at for place, at in self._cited.items() if now - at < self._after_s}
        for tenant in list(self._learner.state.tenants):
            stale = self._stale(tenant, now)
            for start in range(0, len(stale), PAGE):
                archived = EpisodesArchived(tenant=tenant, at=now, episode_ids=tuple(stale[start : start + PAGE]))
                await self._learner.reached(await self._journal.append(archived))

    def _stale(self, tenant: str, now: float) -> list[int]:
        validations = self._learner.state.of(tenant).skills.validations
        return [
            record.episode_id
            for _, record in self._memory.hygiene.everything(tenant)
            if record.aside is None
            and now - record.last_at >= self._after_s
            and record.episode_id not in validations
            and (tenant, record.episode_id) not in self._cited
        ]
