"""Challengers: set beside a point's champion, promoted once they are proven better, rolled back on a breach."""

from collections.abc import Awaitable, Callable
from typing import Literal

from auditor import Learner
from auditor.at_rest import decode_tenant
from auditor.events import Checkpointed
from auditor.fold import TenantFold
from auditor.override import Override
from auditor.policy_events import ChallengerEnded, ChallengerSet, Promoted, RolledBack
from auditor.rival import Rival, Spec

from .clock import Clock
from .contract import ChallengerAnswer, ChallengerRequest, ChangeAnswer, ReasonRequest
from .errands import Errands
from .errors import Conflict, NotProven, SpecChanged, UnknownCheckpoint
from .idempotency import Receipt
from .journal import Journal
from .policies import SERVER, Policies, in_rewards, known, refuse_weights
from .refold import Prefixes
from .tenants import Caller

Change = ChallengerSet | ChallengerEnded | Promoted | RolledBack
Act = Callable[[TenantFold, Override], Awaitable[Change]]


class Challengers:
    """Acts about challengers, in turn with the other acts about policies."""

    def __init__(
        self, learner: Learner, journal: Journal, prefixes: Prefixes, policies: Policies, clock: Clock
    ) -> None:
        self._learner, self._journal, self._prefixes, self._clock = learner, journal, prefixes, clock
        self._policies, self._errands = policies, Errands()

    async def challenge(
        self, caller: Caller, point: str, request: ChallengerRequest, receipt: Receipt | None = None
    ) -> ChangeAnswer:
        """Set a challenger beside the champion, or let the one that stands there act on another share.

        Raises:
          UnknownPoint, UnknownCheckpoint, Unprocessable, SpecChanged: it cannot be had.
          Conflict: another one stands there.
        """
        self._policies.refuse_unknown(caller.tenant, point)
        refuse_weights(point, request.weights)

        async def act(fold: TenantFold, override: Override) -> Change:
            place = await self._place(caller.tenant, point, request.checkpoint_id)
            spec = Spec(
                tuning=request.tuning, weights=override.weights | request.weights, checkpoint_id=request.checkpoint_id
            )
            standing = fold.rivals.get(point)
            if standing is not None and (standing.former or standing.spec != spec):
                called = "former champion" if standing.former else _stage(standing)
                raise Conflict(f"a {called} stands at {point} that is not this one; DELETE it first")
            return ChallengerSet(
                tenant=caller.tenant,
                at=self._clock.now(),
                point=point,
                spec=spec,
                share=request.share,
                rests_on=place,
                by=caller.key_id,
                why=request.why,
            )

        return await self._errands.finish(self._in_turn(caller.tenant, point, act, receipt))

    async def withdraw(self, caller: Caller, point: str, why: str) -> None:
        """Take the challenger, or the former champion, away.

        Raises:
          UnknownPoint: there is no such point.
          Conflict: nobody stands there.
        """
        self._policies.refuse_unknown(caller.tenant, point)

        async def act(fold: TenantFold, override: Override) -> Change:
            _standing(fold, point)
            at, by = self._clock.now(), caller.key_id
            return ChallengerEnded(tenant=caller.tenant, at=at, point=point, outcome="withdrawn", by=by, why=why)

        await self._errands.finish(self._in_turn(caller.tenant, point, act, None))

    async def promote(
        self, caller: Caller, point: str, request: ReasonRequest, receipt: Receipt | None = None
    ) -> ChangeAnswer:
        """Put the challenger in the champion's place, if it is proven better.

        Raises:
          UnknownPoint: there is no such point.
          Conflict: there is no challenger.
          NotProven: it is not.
        """
        self._policies.refuse_unknown(caller.tenant, point)

        async def act(fold: TenantFold, override: Override) -> Change:
            rival = _standing(fold, point)
            if rival.former:
                raise Conflict("the former champion stands there; roll back to it")
            told = in_rewards(fold, point, rival.comparison)
            if told.at_least <= 0.0:
                raise NotProven(f"the challenger is not proven better: {known(told)}")
            return Promoted(
                tenant=caller.tenant,
                at=self._clock.now(),
                point=point,
                override=rival.spec.over(override),
                was=override,
                by=caller.key_id,
                why=request.why,
            )

        return await self._errands.finish(self._in_turn(caller.tenant, point, act, receipt))

    async def roll_back(
        self, caller: Caller, point: str, request: ReasonRequest, receipt: Receipt | None = None
    ) -> ChangeAnswer:
        """Put the former champion back in its place.

        Raises:
          UnknownPoint: there is no such point.
          Conflict: nobody was promoted.
        """
        self._policies.refuse_unknown(caller.tenant, point)

        async def act(fold: TenantFold, override: Override) -> Change:
            rival = _standing(fold, point)
            if not rival.former:
                raise Conflict("nobody was promoted; DELETE takes a challenger away")
            return self._back(fold, point, override, caller.key_id, request.why)

        return await self._errands.finish(self._in_turn(caller.tenant, point, act, receipt))

    def _back(self, fold: TenantFold, point: str, override: Override, by: str, why: str) -> RolledBack:
        back = fold.rivals[point].spec.over(override)
        return RolledBack(tenant=fold.tenant, at=self._clock.now(), point=point, override=back, by=by, why=why)

    async def follow_evidence(self) -> None:
        """Take each canary away that is proven worse, and each champion that the former one is proven better than."""
        for tenant, fold in list(self._learner.state.tenants.items()):
            for point in [point for point, rival in fold.rivals.items() if breached(rival)]:
                await self._errands.finish(self._in_turn(tenant, point, self._breach(point), None))

    def _breach(self, point: str) -> Act:
        async def act(fold: TenantFold, override: Override) -> Change:
            rival = _standing(fold, point)
            if not breached(rival):
                raise Conflict("it was set meanwhile")
            told = in_rewards(fold, point, rival.comparison)
            if rival.former:
                why = f"the former champion is better: {known(told)}"
                return self._back(fold, point, override, SERVER, why)
            why = f"the challenger is worse: {known(told)}"
            at, tenant = self._clock.now(), fold.tenant
            return ChallengerEnded(tenant=tenant, at=at, point=point, outcome="rolled_back", by=SERVER, why=why)

        return act

    async def _in_turn(self, tenant: str, point: str, act: Act, receipt: Receipt | None) -> ChangeAnswer:
        """Journal what is to be done as things stand when its turn comes."""
        async with self._policies.turns.turn():
            state = self._learner.state
            event = await act(state.of(tenant), state.steering.at(tenant, point).override)
            answer = ChangeAnswer(point=point, change=event.kind, at=event.at, by=event.by, why=event.why)
            if receipt is not None:
                receipt.answer = answer
            await self._learner.reached(await (receipt or self._journal).append(event))
            return answer

    async def _place(self, tenant: str, point: str, checkpoint_id: str | None) -> int | None:
        """Where the checkpoint's state is that a challenger begins with."""
        if checkpoint_id is None:
            return None
        marks = [recorded.event for recorded in await self._journal.checkpoints(tenant)]
        made = [mark for mark in marks if isinstance(mark, Checkpointed) and mark.checkpoint_id == checkpoint_id]
        if not made:
            raise UnknownCheckpoint
        snapshot = decode_tenant(await self._prefixes.prefix(tenant, made[-1].seq)).policies.get(point)
        if snapshot is None or snapshot.spec_hash != self._learner.state.rules.points[point].spec_hash:
            raise SpecChanged(f"the checkpoint's table for {point!r} was learnt under another feature spec")
        return made[-1].seq


def breached(rival: Rival) -> bool:
    """Whether who acts is proven worse than who would act without it."""
    if rival.former:
        return rival.comparison.interval[0] > 0.0
    return rival.share > 0.0 and rival.comparison.interval[1] < 0.0


def _stage(rival: Rival) -> Literal["shadow", "canary", "former"]:
    return "former" if rival.former else "canary" if rival.share else "shadow"


def describe(fold: TenantFold, point: str) -> ChallengerAnswer | None:
    """Who stands beside the champion."""
    if (rival := fold.rivals.get(point)) is None:
        return None
    return ChallengerAnswer(
        since=rival.number,
        stage=_stage(rival),
        share=rival.share,
        tuning=rival.spec.tuning,
        weights=rival.spec.weights,
        checkpoint_id=rival.spec.checkpoint_id,
        updates=rival.policy.updates,
        comparison=in_rewards(fold, point, rival.comparison),
    )


def _standing(fold: TenantFold, point: str) -> Rival:
    if (rival := fold.rivals.get(point)) is None:
        raise Conflict(f"nobody stands beside the champion at {point}")
    return rival
