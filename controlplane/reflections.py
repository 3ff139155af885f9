"""Reflections in the background: owed by each capture, made by a job of the outbox, kept in the journal, evicted.

None is made inside a decision. A stored reflection of a similar episode is taken before anybody is asked.
"""

from typing import Any

import msgspec
import structlog

from auditor import Learner
from auditor.events import Captured, Recorded
from auditor.money_events import Spender
from auditor.reflection_events import Reflected, ReflectionEvicted, ReuseChecked

from .budgets import Budgets
from .clock import Clock
from .embedding import EmbeddingUnavailable
from .errands import Errands
from .errors import JournalUnavailable, PointsmanError, StorageFull, UnknownPrice, UnknownReflection
from .failpoints import failpoint
from .ids import new_id
from .jobs import Job
from .journal import Journal
from .llm.catalogue import Model
from .llm.models import Models
from .llm.reflecting import NoReflection
from .memory.purging import overwrite_reflection
from .memory.store import EpisodeRecord, MemoryStore
from .outbox import LONGEST_S, Outbox, TryFailed
from .reflector import PERSPECTIVES, PURPOSE, Reflector
from .reuse import Near, Reuses
from .tenants import Caller

log = structlog.get_logger()
WORK, CHECK = "reflection", "reuse_check"
SEVERE = 0.8  # severity from which on several readings are worth their price


class Owed(msgspec.Struct, frozen=True):
    """A reflection as its job holds it."""

    tenant: str
    episode_id: int
    by: str


class OwedCheck(msgspec.Struct, frozen=True):
    """A check of a reuse as its job holds it."""

    tenant: str
    reflection_id: str


class Reflects:
    """Makes what a job owes."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        reuses: Reuses,
        models: Models,
        budgets: Budgets,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory, self._reuses = learner, journal, memory, reuses
        self._models, self._budgets, self._clock = models, budgets, clock
        self.reflector = Reflector(models, budgets, clock)

    @property
    def able(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._models.of("cheap") or self._models.of("premium"))

    async def __call__(self, job: Job) -> None:
        """Raises TryFailed unless the episode has its reflection, or needs none any more."""
        owed = msgspec.convert(job.body, Owed)
        if not self._memory.live:
            raise TryFailed("memory is not loaded yet")
        record = self._memory.episode(owed.tenant, owed.episode_id)
        if record is None or record.reflection is not None or record.evicted:
            return
        try:
            await self.keep(*await self._made(owed, record, job.fence))
        except (NoReflection, EmbeddingUnavailable, PointsmanError) as error:
            raise TryFailed(str(error)) from error

    async def _made(self, owed: Owed, record: EpisodeRecord, fence: int) -> tuple[Reflected, *tuple[ReuseChecked, ...]]:
        near = await self._reuses.nearest(owed.tenant, record)
        if near is not None and self._reuses.allows(owed.tenant, near):
            drawn = bool(self._models.of("cheap")) and self._reuses.drawn(owed.tenant, near.error_class)
            of, similarity = near.reflection.root, near.similarity
            return (self._event(owed, tier="cached", insight=None, of=of, similarity=similarity, drawn=drawn),)
        model = self._chosen(owed.tenant, record, fence)
        reflect = self.reflector.premium if model.tier == "premium" else self.reflector.cheap
        made = await reflect(owed.tenant, model, record.episode)
        own = self._event(owed, tier=model.tier, **made._asdict())
        return (own,) if near is None else (own, await self._beside(own, near))

    async def _beside(self, own: Reflected, near: Near) -> ReuseChecked:
        """What would have been reused, beside what a model was asked for instead."""
        assert own.insight is not None
        return ReuseChecked(
            tenant=own.tenant,
            at=own.at,
            reflection_id=own.reflection_id,
            of=near.reflection.root,
            error_class=near.error_class,
            similarity=near.similarity,
            agreed=await self._reuses.agree(own.insight, near.reflection),
            reused=False,
        )

    def _chosen(self, tenant: str, record: EpisodeRecord, fence: int) -> Model:
        """Several readings where much is at stake and the purse has room; another model with each try.

        Raises:
          NoReflection: the purse has no room.
        """
        severe = record.episode.severity >= SEVERE or not self._models.of("cheap")
        why = ""
        for tier in ("premium", "cheap") if severe else ("cheap",):
            if models := self._models.of(tier):
                model = models[(fence - 1) % len(models)]
                why = self.no_room(tenant, model, record)
                if not why:
                    return model
        raise NoReflection(why)

    def no_room(self, tenant: str, model: Model, record: EpisodeRecord) -> str:
        """Why the purse has no room, or ""."""
        calls = len(PERSPECTIVES) + 1 if model.tier == "premium" else 1
        try:
            cost = calls * self.reflector.at_most(model, record.episode)
        except UnknownPrice as error:
            return str(error)
        spender = Spender(model=model.name, tier=model.tier, purpose=PURPOSE)
        return self._budgets.masked(tenant, {model.tier: (spender, cost)}).get(model.tier, "")

    def _event(self, owed: Owed, **what: Any) -> Reflected:
        at, name = self._clock.now(), new_id("rf")
        return Reflected(tenant=owed.tenant, at=at, reflection_id=name, episode_id=owed.episode_id, by=owed.by, **what)

    async def keep(self, made: Reflected, *checks: ReuseChecked) -> None:
        """Journal it; of one that is not used, for its episode was purged meanwhile or has another, nothing stays."""
        seq = await self._journal.append(made, *checks)
        failpoint("reflection.appended")
        await self._learner.reached(seq + len(checks))
        if (made.tenant, made.reflection_id) not in self._memory.reflections:
            await overwrite_reflection(self._journal, made.tenant, made.reflection_id)


class Reflections:
    """Owes a reflection for each capture, and takes bad ones away."""

    def __init__(self, learner: Learner, journal: Journal, memory: MemoryStore, outbox: Outbox, clock: Clock) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._outbox, self._clock, self._errands = outbox, clock, Errands()

    def observe(self, recorded: Recorded) -> None:
        """Owe one for a failure that is new, and a check of a reuse that was drawn for it.

        Not again when an event is folded another time.
        """
        event, seq = recorded.event, recorded.seq
        if seq <= self._outbox.jobs.last_cause or self._clock.now() - event.at > LONGEST_S:
            return
        match event:
            case Captured(duplicate_of=None):
                owed = Owed(event.tenant, seq, event.by)
                self._outbox.add(WORK, f"{event.tenant}/{seq}", msgspec.structs.asdict(owed), seq)
            case Reflected(drawn=True, reflection_id=name):
                check = OwedCheck(event.tenant, name)
                self._outbox.add(CHECK, f"{event.tenant}/{name}", msgspec.structs.asdict(check), seq)

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
