"""Appeals: an agent contests a BLOCK, an operator rules. Both are events; an appeal alone moves nothing."""

from auditor import Learner
from auditor.event import Event
from auditor.events import Decided
from auditor.policy_events import Appealed, AppealRuled
from auditor.trace import BLOCK

from .clock import Clock
from .contract import AppealAnswer, AppealRequest, RulingRequest
from .errands import Errands
from .errors import Conflict, UnknownTrace, Unprocessable
from .idempotency import Receipt
from .journal import Journal
from .tenants import Caller
from .turns import Turns


class Appeals:
    """Takes appeals and rulings in, one after the other, so that each BLOCK has one of each."""

    def __init__(self, learner: Learner, journal: Journal, clock: Clock) -> None:
        self._learner, self._journal, self._clock = learner, journal, clock
        self._errands, self._turns = Errands(), Turns(learner, journal)

    def waiting(self, tenant: str) -> list[AppealAnswer]:
        """Those without a ruling, the oldest first."""
        return [
            AppealAnswer(
                trace_id=one.trace_id,
                status="open",
                appealed_at=one.at,
                open_decision=self._counts(tenant, one.trace_id),
            )
            for one in self._learner.state.appeals.of(tenant)
        ]

    async def appeal(
        self, caller: Caller, trace_id: str, request: AppealRequest, receipt: Receipt | None = None
    ) -> AppealAnswer:
        """Contest a BLOCK.

        Raises:
          UnknownTrace: this tenant has no such decision.
          Unprocessable: it is no BLOCK.
          Conflict: it was contested before.
        """
        decided = await self._journal.about(caller.tenant, trace_id, "decision")
        if not decided:
            raise UnknownTrace
        event = decided[0].event
        assert isinstance(event, Decided)
        if event.trace.action != BLOCK:
            raise Unprocessable(f"only a BLOCK can be contested; this was {event.trace.action}")
        appealed = Appealed(
            tenant=caller.tenant, at=self._clock.now(), trace_id=trace_id, reason=request.reason, by=caller.key_id
        )
        return await self._errands.finish(self._appeal(appealed, receipt))

    async def _appeal(self, event: Appealed, receipt: Receipt | None) -> AppealAnswer:
        async with self._turns.turn():
            repeats = receipt is not None and receipt.received is not None
            if not repeats and await self._about(event, "appeal"):
                raise Conflict("this BLOCK was contested before; an operator rules on it")
            return await self._put(event, event.at, "open", receipt)

    async def rule(
        self, caller: Caller, trace_id: str, request: RulingRequest, receipt: Receipt | None = None
    ) -> AppealAnswer:
        """Uphold an appeal, or reject it.

        Raises:
          UnknownTrace: this tenant has no such decision that was contested.
          Conflict: it was ruled on before.
        """
        ruled = AppealRuled(
            tenant=caller.tenant,
            at=self._clock.now(),
            trace_id=trace_id,
            upheld=request.upheld,
            why=request.why,
            by=caller.key_id,
        )
        return await self._errands.finish(self._rule(ruled, receipt))

    async def _rule(self, event: AppealRuled, receipt: Receipt | None) -> AppealAnswer:
        async with self._turns.turn():
            appealed = await self._about(event, "appeal")
            if not appealed:
                raise UnknownTrace("no decision of this trace_id was contested; GET /v1/appeals lists those that were")
            repeats = receipt is not None and receipt.received is not None
            if not repeats and await self._about(event, "appeal_ruled"):
                raise Conflict("there is a ruling on this appeal")
            return await self._put(event, appealed[0], "upheld" if event.upheld else "rejected", receipt)

    async def _about(self, event: Event, kind: str) -> list[float]:
        """When there were such events about the same decision."""
        return [recorded.event.at for recorded in await self._journal.about(event.tenant, event.ref, kind)]

    async def _put(
        self, event: Appealed | AppealRuled, appealed_at: float, status: str, receipt: Receipt | None
    ) -> AppealAnswer:
        answer = AppealAnswer(
            trace_id=event.trace_id,
            status=status,
            appealed_at=appealed_at,
            open_decision=self._counts(event.tenant, event.trace_id),
        )
        if receipt is not None:
            receipt.answer = answer
        await self._learner.reached(await (receipt or self._journal).append(event))
        return answer

    def _counts(self, tenant: str, trace_id: str) -> bool:
        decision = self._learner.state.of(tenant).credit.open.get(trace_id)
        return decision is not None and decision.report is None
