"""Reflections in the background: owed by each capture, made by a job of the outbox, kept in the journal, evicted.

Which tier makes one is a decision. A stored reflection of a similar episode asks nobody.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import structlog

from auditor import Learner
from auditor.events import Decided, Recorded
from auditor.money_events import Spender, Tier
from auditor.reflection_events import Reflected, ReflectionEvicted

from .budgets import Budgets
from .clock import Clock
from .embedding import BatchingEmbedder, EmbeddingUnavailable
from .errands import Errands
from .errors import JournalUnavailable, PointsmanError, StorageFull, UnknownPrice, UnknownReflection
from .executor.tiers import AskedTier
from .failpoints import failpoint
from .ids import new_id
from .jobs import Job
from .journal import Journal
from .llm.answer_times import AnswerTimes
from .llm.catalogue import Model
from .llm.models import Models
from .llm.reflecting import NoReflection
from .memory.purging import overwrite_reflection
from .memory.store import EpisodeRecord, MemoryStore, episode_text
from .outbox import LONGEST_S, Outbox, TryFailed
from .reflector import PERSPECTIVES, PURPOSE, Reflector
from .tenants import Caller

log = structlog.get_logger()
WORK = "reflection"
SIMILAR = 0.92  # an episode this similar, of the same error class, has the same reflection
NEAREST = 10  # episodes that are looked at
UNDER_WAY = "it is being reflected on"
NOTHING_SIMILAR = "no similar failure of this class has a reflection"
ASKED: tuple[AskedTier, ...] = ("premium", "cheap")  # from the dearer to the cheaper


class Owed(msgspec.Struct, frozen=True):
    """A reflection as its job holds it: what was decided of it when the failure was captured.

    `passed_over` says that a stored one was at hand and another tier was chosen all the same.
    """

    tenant: str
    episode_id: int
    by: str
    trace_id: str | None = None  # jobs of earlier versions have neither this nor what follows
    reflection_id: str | None = None
    tier: Tier = "cheap"
    passed_over: bool = False


class ForNew(NamedTuple):
    """What a reflection on a new failure could be had of, and why the other tiers cannot be had."""

    masked: dict[Tier, str]
    nearest: float | None  # similarity of the nearest failure that has one
    purse: float | None  # share left of the limit of which least is left


class Reflects:
    """Makes what a job owes."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        memory: MemoryStore,
        embedder: BatchingEmbedder,
        models: Models,
        budgets: Budgets,
        clock: Clock,
    ) -> None:
        self._learner, self._journal, self._memory, self._embedder = learner, journal, memory, embedder
        self._models, self._budgets, self._clock = models, budgets, clock
        self._reflector = Reflector(models, budgets, clock)
        self.times = AnswerTimes(msgspec.structs.asdict(models.catalogue.answer_ms))
        self._under_way = set[tuple[str, int]]()  # episodes that are being reflected on

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
        if (owed.tenant, owed.episode_id) in self._under_way:
            raise TryFailed(UNDER_WAY)
        try:
            with self._alone(owed):
                await self.keep(await self._made(owed, record, job.fence))
        except (NoReflection, EmbeddingUnavailable, PointsmanError) as error:
            raise TryFailed(str(error)) from error

    async def at_once(self, owed: Owed, tier: AskedTier, record: EpisodeRecord) -> Reflected | None:
        """Have one tier reflect and keep what it says; None where it said nothing usable, which the log tells."""
        try:
            with self._alone(owed):
                model, why = self._model(owed.tenant, tier, record, 1)
                if model is None:
                    raise NoReflection(why)
                await self.keep(await self._asked(owed, model, record))
        except (NoReflection, PointsmanError) as error:
            log.warning("reflection_failed", decision=owed.trace_id, tier=tier, why=str(error))
        return self._memory.reflections.get((owed.tenant, owed.reflection_id or ""))

    @contextlib.contextmanager
    def _alone(self, owed: Owed) -> Iterator[None]:
        """Nobody else reflects on the episode meanwhile."""
        self._under_way.add((owed.tenant, owed.episode_id))
        try:
            yield
        finally:
            self._under_way.discard((owed.tenant, owed.episode_id))

    async def stored(self, tenant: str, record: EpisodeRecord) -> Reflected | None:
        """The reflection that is there already: the episode's own, else that of one that is similar enough."""
        if record.reflection is not None or record.evicted or not self._memory.reflections:
            return record.reflection
        try:
            return await self._similar(tenant, record)
        except EmbeddingUnavailable:
            return None

    def cannot(self, tenant: str, tier: AskedTier, record: EpisodeRecord) -> str:
        """Why a tier cannot be asked about an episode now, or ""."""
        if record.reflection is not None:
            return "it has a reflection of its own"
        if record.evicted:
            return "its reflection was bad, and it gets no other"
        if (tenant, record.episode_id) in self._under_way:
            return UNDER_WAY
        return self._model(tenant, tier, record, 1)[1]

    def one_try(self, tier: AskedTier, record: EpisodeRecord) -> int:
        """What reflecting may cost where every call is answered at once [nano-USD].

        Raises:
          UnknownPrice: nobody knows.
        """
        return self._at_most(self._models.of(tier)[0], record)

    async def for_new(self, tenant: str, record: EpisodeRecord) -> ForNew:
        """Which tiers could reflect on a failure that is new."""
        masked: dict[Tier, str] = {}
        space = self._memory.space(tenant, record.episode.namespace)
        vector = await self._embedder.embed(episode_text(record.episode))
        found = space.episode_index.search(vector, NEAREST) if space.episode_index else []
        nearest = next((similarity for near, similarity in found if space.episodes[near].reflection), None)
        if nearest is None or await self._similar(tenant, record) is None:
            masked["cached"] = NOTHING_SIMILAR
        purse = None
        for tier in ASKED:
            model, why = self._model(tenant, tier, record, 1)
            if model is None:
                masked[tier] = why
            else:
                purse = self._budgets.room(tenant, _spender(model))
        return ForNew(masked, nearest, purse)

    async def _made(self, owed: Owed, record: EpisodeRecord, fence: int) -> Reflected:
        """By the tier that was chosen, or where it cannot be had any more by the next cheaper one.

        Where no stored reflection could be chosen then, one that has come since is as good as asking.

        Raises:
          NoReflection: none can be had.
        """
        known = await self._similar(owed.tenant, record)
        why = NOTHING_SIMILAR
        if known is None or owed.passed_over:
            for tier in ASKED[ASKED.index(owed.tier) :] if owed.tier != "cached" else ():
                model, why = self._model(owed.tenant, tier, record, fence)
                if model is not None:
                    return await self._asked(owed, model, record)
        if known is None:
            raise NoReflection(why)
        return self._event(owed, tier="cached", insight=None, of=known.root)

    async def _asked(self, owed: Owed, model: Model, record: EpisodeRecord) -> Reflected:
        reflect = self._reflector.premium if model.tier == "premium" else self._reflector.cheap
        begun = self._clock.monotonic()
        made = await reflect(owed.tenant, model, record.episode)
        self.times.note(model.tier, (self._clock.monotonic() - begun) * 1000.0)
        return self._event(owed, tier=model.tier, **made._asdict())

    async def _similar(self, tenant: str, record: EpisodeRecord) -> Reflected | None:
        """The reflection of the nearest episode that is similar enough, in the same namespace."""
        space = self._memory.space(tenant, record.episode.namespace)
        vector = await self._embedder.embed(episode_text(record.episode))
        found = space.episode_index.search(vector, NEAREST) if space.episode_index else []
        for episode_id, similarity in found:
            near = space.episodes[episode_id]
            alike = similarity >= SIMILAR and near.episode.error_class == record.episode.error_class
            if alike and near.reflection is not None:
                return near.reflection
        return None

    def _model(self, tenant: str, tier: AskedTier, record: EpisodeRecord, fence: int) -> tuple[Model | None, str]:
        """Who is asked, another one with each try; or None and why nobody is."""
        if not (models := self._models.of(tier)):
            return None, f"no {tier} model is configured"
        model = models[(fence - 1) % len(models)]
        why = self._no_room(tenant, model, record)
        return (None, why) if why else (model, "")

    def _no_room(self, tenant: str, model: Model, record: EpisodeRecord) -> str:
        """Why the purse has no room, or ""."""
        try:
            cost = self._at_most(model, record)
        except UnknownPrice as error:
            return str(error)
        return self._budgets.masked(tenant, {model.tier: (_spender(model), cost)}).get(model.tier, "")

    def _at_most(self, model: Model, record: EpisodeRecord) -> int:
        """Raises UnknownPrice."""
        calls = len(PERSPECTIVES) + 1 if model.tier == "premium" else 1
        return calls * self._reflector.at_most(model, record.episode)

    def _event(self, owed: Owed, **what: Any) -> Reflected:
        return Reflected(
            tenant=owed.tenant,
            at=self._clock.now(),
            reflection_id=owed.reflection_id or new_id("rf"),
            episode_id=owed.episode_id,
            by=owed.by,
            trace_id=owed.trace_id,
            **what,
        )

    async def keep(self, made: Reflected) -> None:
        """Journal it; of one that is not used, for its episode was purged meanwhile or has another, nothing stays."""
        seq = await self._journal.append(made)
        failpoint("reflection.appended")
        await self._learner.reached(seq)
        if (made.tenant, made.reflection_id) not in self._memory.reflections:
            await overwrite_reflection(self._journal, made.tenant, made.reflection_id)


def _spender(model: Model) -> Spender:
    return Spender(model=model.name, tier=model.tier, purpose=PURPOSE)


class Reflections:
    """Owes the reflections that captures decided on, and takes bad ones away."""

    def __init__(self, learner: Learner, journal: Journal, memory: MemoryStore, outbox: Outbox, clock: Clock) -> None:
        self._learner, self._journal, self._memory = learner, journal, memory
        self._outbox, self._clock, self._errands = outbox, clock, Errands()

    def observe(self, recorded: Recorded) -> None:
        """Owe what a capture decided on, unless that was done when the event was folded for the first time."""
        event, seq = recorded.event, recorded.seq
        if not isinstance(event, Decided) or event.trace.point != "capture":
            return
        if seq > self._outbox.jobs.last_cause and self._clock.now() - event.at <= LONGEST_S:
            owed = _owed(event, seq - 1)  # it stands behind its capture, in the same commit
            self._outbox.add(WORK, f"{event.tenant}/{owed.episode_id}", msgspec.structs.asdict(owed), seq)

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


def _owed(decided: Decided, episode_id: int) -> Owed:
    trace = decided.trace
    assert trace.lesson is not None, "a decision at capture names the reflection it is about"
    [head] = trace.heads
    return Owed(
        tenant=decided.tenant,
        episode_id=episode_id,
        by=trace.execution["by"],
        trace_id=trace.trace_id,
        reflection_id=trace.lesson.reflection_id,
        tier=msgspec.convert(head.action, Tier),
        passed_over=head.action != "cached" and "cached" in head.actions,
    )
