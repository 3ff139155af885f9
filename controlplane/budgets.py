"""The purse: what a call may cost is held before it is made, and no limit is ever exceeded.

A reservation is checked against every limit that binds it, with all that is held and spent, and held at once, before
anything is awaited; only then is it journalled, and only then may the call be made. What becomes of it is journalled
when it is known. A reservation whose end nobody wrote, for the server died or the reply was lost, is charged whole, and
an operator can say later what it cost.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

import structlog
from msgspec import structs

from auditor import Learner
from auditor.accounts import Place
from auditor.answers import ReservationResult
from auditor.events import Recorded
from auditor.fold import Applied
from auditor.ledger import NEAR_PERCENT, Ledger, Use, places_of
from auditor.money_events import BudgetSet, Reconciled, Released, Reserved, Settled, Spender, Tier

from .clock import Clock
from .contract import BudgetRequest, ReconcileRequest
from .errands import Errands
from .errors import (
    BudgetExhausted,
    JournalUnavailable,
    PointsmanError,
    UnknownReservation,
    UnknownTenant,
    Unprocessable,
)
from .failpoints import failpoint
from .ids import new_id
from .journal import Journal
from .llm.prices import Charge, Counterfactual, nano
from .tenants import DEFAULT, Registry

log = structlog.get_logger()
LONGEST_S = 3600.0  # after which a call that nobody ended is given up
Offer = tuple[Spender, int]  # who would spend what at most [nano-USD]
Ending = Settled | Released
UNKNOWN = Counterfactual(None, None)


class Reservation(NamedTuple):
    """Money that is held for one call; whoever has it ends it."""

    reservation_id: str
    tenant: str
    nano_usd: int


class Budgets:
    """Holds, settles and lets go. Limits and sums are the fold's; what is on its way there is counted here."""

    def __init__(self, learner: Learner, journal: Journal, registry: Registry, clock: Clock) -> None:
        self._learner, self._journal, self._registry, self._clock = learner, journal, registry, clock
        self._coming: dict[str, tuple[list[Place], int]] = {}  # held, and not folded yet
        self._coming_sum: Counter[Place] = Counter()
        self._open: dict[str, float] = {}  # reservations of this process, and until when (monotonic) they may last
        self._owed: dict[str, Ending] = {}  # ends that are not journalled yet
        self._writing: set[str] = set()
        self._errands = Errands()

    @property
    def _ledger(self) -> Ledger:
        return self._learner.state.ledger

    async def reserve(self, tenant: str, spender: Spender, nano_usd: int) -> Reservation:
        """Hold what a call may cost; it may be made once this returns.

        Raises:
          BudgetExhausted: a limit has no room for it.
          StorageFull, Unavailable: it cannot be journalled; nothing is held.
        """
        event = Reserved(
            tenant=tenant,
            at=self._clock.now(),
            reservation_id=new_id("rv"),
            spender=spender,
            nano_usd=nano_usd,
            contested=self._journal.shared,
        )
        self._refuse_beyond(event)
        self._hold(event)
        try:
            await self._errands.finish(self._journalled(event))
        except asyncio.CancelledError:  # it may be in the journal, and nobody will make the call
            self._owe(Released(tenant=tenant, at=event.at, reservation_id=event.reservation_id))
            raise
        return Reservation(event.reservation_id, tenant, nano_usd)

    async def settle(self, held: Reservation, charge: Charge, instead: Counterfactual = UNKNOWN) -> None:
        """Say what the call cost, which is at most what is held. It holds, though the journal may refuse it for now."""
        nano_usd = max(0, min(charge.nano_usd, held.nano_usd))
        at, known = self._clock.now(), instead._asdict()
        await self._end(
            Settled(
                tenant=held.tenant,
                at=at,
                reservation_id=held.reservation_id,
                nano_usd=nano_usd,
                basis=charge.basis,
                if_cheap=known["cheap"],
                if_premium=known["premium"],
            )
        )

    async def lose(self, held: Reservation) -> None:
        """The call was made and nothing usable came back: all that is held is charged, and waits to be reconciled."""
        await self._end(_lost(held.tenant, held.reservation_id, held.nano_usd, self._clock.now()))

    def abandon(self, held: Reservation) -> None:
        """The call was made, and whoever made it goes away: as lost, and journalled with a later tick."""
        self._owe(_lost(held.tenant, held.reservation_id, held.nano_usd, self._clock.now()))

    async def release(self, held: Reservation) -> None:
        """The call was not made, or was certainly not billed."""
        await self._end(Released(tenant=held.tenant, at=self._clock.now(), reservation_id=held.reservation_id))

    def masked(self, tenant: str, offers: Mapping[Tier, Offer]) -> dict[Tier, str]:
        """The tiers that the purse has no room for, each with the reason.

        Premium goes first: it has no room in what is left of a limit that is near.
        """
        return {tier: why for tier, offer in offers.items() if (why := self._why_not(tenant, tier, offer)) is not None}

    def room(self, tenant: str, spender: Spender) -> float | None:
        """The share that is left of the limit of which least is left; None where no limit binds."""
        binding = self._binding(tenant, spender, self._clock.now())
        return min((max(0, use.left) / max(1, use.limit.nano_usd) for use in binding), default=None)

    async def set(self, by: str, request: BudgetRequest) -> None:
        """Set a limit, or take it away.

        Raises:
          Unprocessable, UnknownTenant: no such limit can be meant.
        """
        self._refuse_meaningless(request)
        event = BudgetSet(
            tenant=request.tenant or "",
            at=self._clock.now(),
            scope=request.scope,
            name=request.name or "",
            period=request.period,
            nano_usd=None if request.limit_usd is None else _nano(request.limit_usd),
            by=by,
            why=request.why,
        )
        await self._learner.reached(await self._journal.append(event))

    async def reconcile(self, by: str, reservation_id: str, request: ReconcileRequest) -> None:
        """Say what a call cost of which all that was held is charged.

        Raises:
          UnknownReservation: there is no such call.
        """
        if (held := self._ledger.unreconciled.get(reservation_id)) is None:
            raise UnknownReservation
        event = Reconciled(
            tenant=held.tenant,
            at=self._clock.now(),
            reservation_id=reservation_id,
            nano_usd=_nano(request.cost_usd),
            by=by,
            why=request.why,
        )
        await self._learner.reached(await self._journal.append(event))

    def observe(self, recorded: Recorded, _: Applied) -> None:
        """What is folded is no longer on its way, and what is over is nobody's any more."""
        match recorded.event:
            case Reserved(reservation_id=folded):
                self._arrive(folded)
            case Settled(reservation_id=over) | Released(reservation_id=over):
                self._open.pop(over, None)

    async def follow_evidence(self) -> None:
        """Charge what was held by a server that died, or for longer than any call; journal the ends that are owed."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        for name, held in list(self._ledger.held.items()):
            if self._journal.shared and name not in self._open and now - held.at < LONGEST_S:
                continue  # of another replica, which may be alive
            if monotonic >= self._open.get(name, monotonic) and name not in self._owed:
                log.warning("reservation_charged_whole", reservation=name, why="nobody said how it ended")
                self._owe(_lost(held.tenant, name, held.nano_usd, now))
        await self.flush()

    async def flush(self) -> None:
        """Try to journal the ends that are owed."""
        for ending in list(self._owed.values()):
            await self._errands.finish(self._written(ending))

    def uses(self, of: Iterable[Use]) -> list[Use]:
        """The same, with what is on its way to the fold."""
        coming = self._coming_sum
        return [structs.replace(use, reserved=use.reserved + coming[use.limit.place]) for use in of]

    def _refuse_beyond(self, event: Reserved) -> None:
        """Raises BudgetExhausted where a limit has no room."""
        for use in self._binding(event.tenant, event.spender, event.at):
            if use.left < event.nano_usd:
                raise BudgetExhausted(
                    f"{told(use)} has {usd(max(use.left, 0))} left; this call may cost {usd(event.nano_usd)}"
                )

    def _binding(self, tenant: str, spender: Spender, at: float) -> list[Use]:
        return self.uses(self._ledger.uses(tenant, spender, at))

    def _why_not(self, tenant: str, tier: Tier, offer: Offer) -> str | None:
        spender, nano_usd = offer
        for use in self._binding(tenant, spender, self._clock.now()):
            percent = NEAR_PERCENT if tier == "premium" else 100
            if nano_usd and (use.spent + use.reserved + nano_usd) * 100 > use.limit.nano_usd * percent:
                return f"{told(use)} has {usd(max(use.left, 0))} left, and {tier} may use {percent} % of it"
        return None

    def _hold(self, event: Reserved) -> None:
        places = places_of(event.tenant, event.spender)
        self._coming[event.reservation_id] = places, event.nano_usd
        self._coming_sum.update(dict.fromkeys(places, event.nano_usd))
        self._open[event.reservation_id] = self._clock.monotonic() + LONGEST_S

    def _arrive(self, reservation_id: str) -> None:
        places, nano_usd = self._coming.pop(reservation_id, ([], 0))
        for place in places:
            self._coming_sum[place] -= nano_usd
            if not self._coming_sum[place]:
                del self._coming_sum[place]

    async def _journalled(self, event: Reserved) -> None:
        try:
            seq = await self._journal.append(event)
            if event.contested and not await self._held(seq):
                self._refuse_beyond(event)
                raise BudgetExhausted("another replica spent what was left of a limit")
        except PointsmanError as error:
            self._arrive(event.reservation_id)
            self._open.pop(event.reservation_id, None)
            if event.contested and isinstance(error, JournalUnavailable):  # it may be there all the same
                self._owe(Released(tenant=event.tenant, at=event.at, reservation_id=event.reservation_id))
            raise
        failpoint("budget.reserved")

    async def _held(self, seq: int) -> bool:
        """What the fold says of a contested reservation."""
        answer = await self._learner.reached(seq)
        return isinstance(answer, ReservationResult) and answer.held

    async def _end(self, ending: Ending) -> None:
        self._owe(ending)
        await self._errands.finish(self._written(ending))

    def _owe(self, ending: Ending) -> None:
        """It is journalled now or later; the first end that is said holds."""
        self._owed.setdefault(ending.reservation_id, ending)

    async def _written(self, ending: Ending) -> None:
        """Journal an end; one that is refused is tried again with the next tick, and until then all stays held."""
        over = ending.reservation_id
        if over in self._writing or over not in self._owed:
            return
        self._writing.add(over)
        try:
            await self._journal.append(self._owed[over])
            failpoint("budget.settled")
            del self._owed[over]
        except PointsmanError as error:
            log.warning("end_not_journalled", reservation=over, error=str(error), until="a later tick")
        finally:
            self._writing.remove(over)

    def _refuse_meaningless(self, request: BudgetRequest) -> None:
        """Raises for a limit that names too much, too little, or nobody."""
        of_one = request.scope in ("tenant", "agent", "user")
        if of_one != (request.tenant is not None):
            raise Unprocessable(f"a limit of scope {request.scope} {'needs' if of_one else 'has no'} tenant")
        named = request.scope in ("model", "agent", "user")
        if named != (request.name is not None):
            raise Unprocessable(f"a limit of scope {request.scope} {'needs' if named else 'has no'} name")
        if request.tenant is not None and request.tenant not in (self._registry.tenants or (DEFAULT,)):
            raise UnknownTenant


def told(use: Use) -> str:
    """A limit in words.

    >>> from auditor.ledger import Limit
    >>> told(Use(Limit(("agent", "acme", "ci"), "day", 10**9, 1, 0.0, "", ""), 0, 0, 0))
    'the limit of 1 USD a day of the agent ci of acme'
    """
    kind, tenant, name = use.limit.place
    whose = {"global": "everybody", "tenant": f"the tenant {tenant}", "model": f"the model {name}"}
    of = whose.get(kind, f"the {kind} {name} of {tenant}")
    return f"the limit of {usd(use.limit.nano_usd)} a {use.limit.period} of {of}"


def usd(nano_usd: int) -> str:
    """Money in words, exactly.

    >>> usd(1_500_000_000), usd(1)
    ('1.5 USD', '0.000000001 USD')
    """
    whole, rest = divmod(nano_usd, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + " USD"


def _nano(amount_usd: float) -> int:
    return nano(Decimal(str(amount_usd)))


def _lost(tenant: str, reservation_id: str, nano_usd: int, at: float) -> Settled:
    return Settled(tenant=tenant, at=at, reservation_id=reservation_id, nano_usd=nano_usd, basis="reservation")
