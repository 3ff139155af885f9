"""Reflections in the background: owed by each capture, made by a job of the outbox, kept in the journal.

Which tier makes one is a decision. A stored reflection of a similar episode asks nobody.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import structlog

from auditor import Learner
from auditor.events import Decided, Recorded
from auditor.money_events import Tier
from auditor.reflection_events import Reflected, ReuseChecked

from .budgets import Budgets
from .clock import Clock
from .embedding import EmbeddingUnavailable
from .errors import PointsmanError, UnknownPrice
from .executor.tiers import AskedTier
from .failpoints import failpoint
from .ids import new_id
from .jobs import Job
from .journal import Journal
from .llm.answer_times import AnswerTimes
from .llm.catalogue import Model
from .llm.models import Models
from .llm.reflecting import NoReflection
from .memory.index import VectorsUnavailable
from .memory.purging import overwrite_reflection
from .memory.space import EpisodeRecord
from .memory.store import MemoryStore
from .outbox import Outbox, TryFailed
from .reflector import PERSPECTIVES, Reflector, spender
from .reuse import Near, Reuses

log = structlog.get_logger()
WORK, CHECK = "reflection", "reuse_check"
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
    agent: str = ""  # the key that has it made, and whose limits bind it


class ForNew(NamedTuple):
    """What a reflection on a new failure could be had of, and why the other tiers cannot be had."""

    masked: dict[Tier, str]
    nearest: float | None  # similarity of the nearest failure that has one
    purse: float | None  # share left of the limit of which least is left


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
        if record is None or record.reflection is not None or record.made.evicted:
            return
        if (owed.tenant, owed.episode_id) in self._under_way:
            raise TryFailed(UNDER_WAY)
        try:
            with self._alone(owed):
                await self.keep(*await self._made(owed, record, job.fence))
        except (NoReflection, EmbeddingUnavailable, PointsmanError) as error:
            raise TryFailed(str(error)) from error

    async def at_once(self, owed: Owed, tier: AskedTier, record: EpisodeRecord) -> Reflected | None:
        """Have one tier reflect and keep what it says; None where it said nothing usable, which the log tells."""
        try:
            with self._alone(owed):
                model, why = self._model(owed.tenant, owed.agent, tier, record, 1)
                if model is None:
                    raise NoReflection(why)
                await self.keep(await self._asked(owed, model, record))
        except (NoReflection, PointsmanError) as error:
            log.warning("reflection_failed", decision=owed.trace_id, tier=tier, why=str(error))
        return self._memory.reflections.get((owed.tenant, owed.reflection_id or ""))

    def begin(self, owed: Owed) -> None:
        """From now on nobody else reflects on the episode."""
        self._under_way.add((owed.tenant, owed.episode_id))

    @contextlib.contextmanager
    def _alone(self, owed: Owed) -> Iterator[None]:
        """Nobody else reflects on the episode meanwhile."""
        self.begin(owed)
        try:
            yield
        finally:
            self._under_way.discard((owed.tenant, owed.episode_id))

    async def stored(self, tenant: str, record: EpisodeRecord) -> Reflected | None:
        """The reflection that is there already: the episode's own, else that of one that is similar enough."""
        if record.reflection is not None or record.made.evicted or not self._memory.reflections:
            return record.reflection
        try:
            near = await self._reuses.nearest(tenant, record)
        except (EmbeddingUnavailable, VectorsUnavailable):
            return None
        return near.reflection if near is not None and self._reuses.allows(tenant, near) else None

    def cannot(self, tenant: str, tier: AskedTier, record: EpisodeRecord, agent: str) -> str:
        """Why a tier cannot be asked about an episode now, or ""; of a key, where it is known who asks."""
        if record.reflection is not None:
            return "it has a reflection of its own"
        if record.made.evicted:
            return "its reflection was bad, and it gets no other"
        if (tenant, record.episode_id) in self._under_way:
            return UNDER_WAY
        return self._model(tenant, agent, tier, record, 1)[1]

    def one_try(self, tier: AskedTier, record: EpisodeRecord) -> int:
        """What reflecting may cost where every call is answered at once [nano-USD].

        Raises:
          UnknownPrice: nobody knows.
        """
        return self._at_most(self._models.of(tier)[0], record)

    async def for_new(self, tenant: str, agent: str, record: EpisodeRecord) -> ForNew:
        """Which tiers could reflect on a failure that is new, and that a key captures."""
        masked: dict[Tier, str] = {}
        try:
            near = await self._reuses.nearest(tenant, record)
        except VectorsUnavailable:  # a capture does not wait for it
            near = None
        if near is None or not self._reuses.allows(tenant, near):
            masked["cached"] = NOTHING_SIMILAR
        purse = None
        for tier in ASKED:
            model, why = self._model(tenant, agent, tier, record, 1)
            if model is None:
                masked[tier] = why
            else:
                purse = self._budgets.room(tenant, spender(model, agent))
        return ForNew(masked, None if near is None else near.similarity, purse)

    async def _made(self, owed: Owed, record: EpisodeRecord, fence: int) -> tuple[Reflected, *tuple[ReuseChecked, ...]]:
        """By the tier that was chosen, or where it cannot be had any more by the next cheaper one that asks.

        Where no stored reflection could be chosen then, one that has come since is as good as asking.

        Raises:
          NoReflection: none can be had.
        """
        near = await self._reuses.nearest(owed.tenant, record)
        known = near if near is not None and self._reuses.allows(owed.tenant, near) else None
        why = NOTHING_SIMILAR
        if known is None or owed.passed_over:
            for tier in ASKED[ASKED.index("cheap" if owed.tier == "cached" else owed.tier) :]:
                model, why = self._model(owed.tenant, owed.agent, tier, record, fence)
                if model is not None:
                    own = await self._asked(owed, model, record)
                    return (own,) if near is None else (own, await self._beside(own, near))
        if known is None:
            raise NoReflection(why)
        return (self._reused(owed, known),)

    def _reused(self, owed: Owed, known: Near) -> Reflected:
        drawn = bool(self._models.of("cheap")) and self._reuses.drawn(owed.tenant, known.error_class)
        same = {"insight": None, "of": known.reflection.root, "similarity": known.similarity}
        return self._event(owed, tier="cached", drawn=drawn, **same)

    async def _asked(self, owed: Owed, model: Model, record: EpisodeRecord) -> Reflected:
        reflect = self.reflector.premium if model.tier == "premium" else self.reflector.cheap
        begun = self._clock.monotonic()
        made = await reflect(owed.tenant, owed.agent, model, record.episode)
        self.times.note(model.tier, (self._clock.monotonic() - begun) * 1000.0)
        return self._event(owed, tier=model.tier, **made._asdict())

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

    def _model(
        self, tenant: str, agent: str, tier: AskedTier, record: EpisodeRecord, fence: int
    ) -> tuple[Model | None, str]:
        """Who is asked, another one with each try; or None and why nobody is."""
        if not (models := self._models.of(tier)):
            return None, f"no {tier} model is configured"
        model = models[(fence - 1) % len(models)]
        why = self.no_room(tenant, agent, model, record)
        return (None, why) if why else (model, "")

    def no_room(self, tenant: str, agent: str, model: Model, record: EpisodeRecord) -> str:
        """Why the purse has no room, or ""."""
        try:
            cost = self._at_most(model, record)
        except UnknownPrice as error:
            return str(error)
        return self._budgets.masked(tenant, {model.tier: (spender(model, agent), cost)}).get(model.tier, "")

    def _at_most(self, model: Model, record: EpisodeRecord) -> int:
        """Raises UnknownPrice."""
        calls = len(PERSPECTIVES) + 1 if model.tier == "premium" else 1
        return calls * self.reflector.at_most(model, record.episode)

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

    async def keep(self, made: Reflected, *checks: ReuseChecked) -> None:
        """Journal it; of one that is not used, for its episode was purged meanwhile or has another, nothing stays."""
        seq = await self._journal.append(made, *checks)
        failpoint("reflection.appended")
        await self._learner.reached(seq + len(checks))
        if (made.tenant, made.reflection_id) not in self._memory.reflections:
            await overwrite_reflection(self._journal, made.tenant, made.reflection_id)


class Reflections:
    """Owes the reflections that captures decided on."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def observe(self, recorded: Recorded) -> None:
        """Owe what a capture decided on, and a check of a reuse that was drawn for it.

        Not again when an event is folded another time.
        """
        event, seq = recorded.event, recorded.seq
        match event:
            case Decided() if event.trace.point == "capture" and self._outbox.follows(WORK, recorded):
                owed = _owed(event, seq - 1)  # it stands behind its capture, in the same commit
                self._outbox.add(WORK, f"{event.tenant}/{owed.episode_id}", msgspec.structs.asdict(owed), seq)
            case Reflected(drawn=True, reflection_id=name) if self._outbox.follows(CHECK, recorded):
                check = OwedCheck(event.tenant, name)
                self._outbox.add(CHECK, f"{event.tenant}/{name}", msgspec.structs.asdict(check), seq)


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
        agent=trace.execution["by"],
    )
