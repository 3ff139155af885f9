"""Every tenant's fold together, with the rules in force and the last folded sequence number."""

from collections.abc import Iterator
from typing import Self

import msgspec

from . import at_rest, federation, joining, rivals
from .answers import ReservationResult
from .appeals import Appeals, Waiting
from .at_rest import FORMAT, READABLE, TenantDump
from .drift import Drift, WatchDump
from .errors import UnreadableFold
from .events import (
    Answered,
    AnyEvent,
    Configured,
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
    KeyEnds,
    KeyIssued,
    Received,
    Recorded,
    Restored,
    TenantSet,
)
from .federation_events import Federated, OriginForgotten
from .fold import Applied, TenantFold
from .hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted
from .ledger import Ledger, LedgerDump
from .money_events import BudgetSet, Reconciled, Released, Reserved, Settled
from .packing import ARRAY, encode, head, mapping
from .policy_events import (
    Appealed,
    AppealRuled,
    ChallengerEnded,
    ChallengerSet,
    PolicySet,
    Promoted,
    RolledBack,
)
from .ranker_events import RankerSet
from .receipts import Owed, Receipts
from .reflection_events import Reflected, ReflectionEvicted, ReuseChecked
from .reuse import ClassDump, Reuse
from .rules import Rules
from .session_events import Queried, SessionReported
from .shares import Shares, TallyDump
from .steering import Steered, Steering
from .webhook_events import WebhookRemoved, WebhookSet


class StateDump(msgspec.Struct, frozen=True, kw_only=True):
    """Everything learnt, at rest."""

    format: int
    seq: int
    rules: Rules
    settings_hash: str
    owed: list[Owed]
    shares: list[TallyDump]
    drift: list[WatchDump]
    steering: list[Steered] = []
    appeals: list[Waiting] = []
    ledger: LedgerDump = LedgerDump()
    reuse: list[ClassDump] = []
    tenants: list[TenantDump]  # the last, because it is written piece by piece


class State:
    """The learnt state of the whole journal up to `seq`."""

    def __init__(self, rules: Rules, settings_hash: str = "") -> None:
        self.format = FORMAT  # of the dump it was loaded from
        self.seq = 0
        self.rules = rules
        self.settings_hash = settings_hash
        self.tenants: dict[str, TenantFold] = {}
        self.receipts = Receipts()
        self.shares = Shares()
        self.drift = Drift()
        self.steering = Steering()
        self.appeals = Appeals()
        self.ledger = Ledger()
        self.reuse = Reuse()

    def of(self, tenant: str) -> TenantFold:
        """The tenant's fold; an unknown tenant has an empty one, which is not kept in a dump."""
        fold = self.tenants.get(tenant)
        if fold is None:
            fold = self.tenants[tenant] = TenantFold(tenant, self.rules_of(tenant))
        return fold

    def rules_of(self, tenant: str) -> Rules:
        """The rules its fold follows: those of the settings, and what its operators set in their place."""
        return self.steering.over(tenant, self.rules)

    def apply(self, recorded: Recorded, prefix: bytes | None = None) -> Applied:
        """Fold the next event; a restore brings the encoded prefix it goes back to."""
        applied = self._apply(recorded.seq, recorded.event, prefix)
        self.receipts.fold(recorded.seq, applied.answer)
        self.shares.fold(recorded.event, applied.answer)
        if alarms := self.drift.fold(recorded.event.tenant, recorded.event.at, applied.learned):
            applied = msgspec.structs.replace(applied, alarms=alarms)
        self.seq = recorded.seq  # only now: an event whose fold failed is not folded
        return applied

    def _apply(self, seq: int, event: AnyEvent, prefix: bytes | None) -> Applied:
        match event:
            case Configured():
                self.rules, self.settings_hash = event.rules, event.settings_hash
                for tenant in self.tenants:
                    self._configure(tenant)
                return Applied()
            case PolicySet() | Promoted() | RolledBack():
                if not isinstance(event, PolicySet):
                    rivals.swap(self.of(event.tenant), seq, event)
                self.steering.fold(seq, event)
                self._configure(event.tenant)
                return Applied()
            case ChallengerSet() | ChallengerEnded():
                rivals.follow(self.of(event.tenant), seq, event, prefix)
                self._configure(event.tenant)
                return Applied()
            case Federated() | OriginForgotten():
                federation.follow(self.of(event.tenant), event)
                return Applied()
            case Restored():
                if prefix is None:
                    raise UnreadableFold(f"the restore at {seq} goes back to {event.seq}, which was not handed in")
                self.tenants[event.tenant] = at_rest.load(at_rest.decode_tenant(prefix), self.rules_of(event.tenant))
                self.tenants[event.tenant].rivals.clear()  # what it was measured against is gone
                return Applied()
            case Received():
                self.receipts.receive(seq, event)
                return Applied()
            case Answered():
                self.receipts.settle(event)
                return Applied()
            case TenantSet() | KeyIssued() | KeyEnds() | WebhookSet() | WebhookRemoved():
                return Applied()  # who may call and who is told is no part of what is learnt
            case Reflected() | ReflectionEvicted():
                return Applied()  # nor is what models make of it
            case Quarantined() | QuarantineLifted() | EpisodesArchived() | EpisodeReturned():
                return Applied()  # nor is which memories are in use
            case ReuseChecked():
                self.reuse.fold(event)
                return Applied()
            case JobAdded() | JobLeased() | JobFailed() | JobEnded():
                return Applied()  # nor is what is owed to the world outside
            case Reserved(contested=True):
                return self._contested(seq, event)
            case Reserved() | Settled() | Released() | Reconciled() | BudgetSet():
                return Applied(near=self.ledger.fold(seq, event))
            case Queried() | SessionReported() | RankerSet():
                return joining.follow(self.of(event.tenant), seq, event)
            case _:
                if isinstance(event, Appealed | AppealRuled):
                    self.appeals.fold(event)
                fold = self.of(event.tenant)
                fold.touched = True
                return fold.apply(seq, event)

    def _contested(self, seq: int, event: Reserved) -> Applied:
        """Hold what another replica may have left no room for."""
        if any(use.left < event.nano_usd for use in self.ledger.uses(event.tenant, event.spender, event.at)):
            return Applied(answer=ReservationResult(held=False))
        return Applied(near=self.ledger.fold(seq, event), answer=ReservationResult(held=True))

    def _configure(self, tenant: str) -> None:
        fold = self.of(tenant)
        fold.configure(self.rules_of(tenant))
        for point, rival in fold.rivals.items():
            rival.configure(self.steering.at(tenant, point).override, self.rules.points[point])

    def dump(self) -> bytes:
        """Equal states give equal bytes."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The dump, piece by piece; nothing may be folded in between."""
        yield from mapping(len(StateDump.__struct_fields__), self._before_tenants())
        yield encode("tenants")
        touched = [self.tenants[tenant] for tenant in sorted(self.tenants) if self.tenants[tenant].touched]
        yield head(ARRAY, len(touched))
        for fold in touched:
            yield from at_rest.pieces(fold)

    def _before_tenants(self) -> Iterator[tuple[str, object]]:
        """The fields of a StateDump but the last, in order, each made when it is asked for."""
        yield "format", FORMAT
        yield "seq", self.seq
        yield "rules", self.rules
        yield "settings_hash", self.settings_hash
        yield "owed", self.receipts.dump()
        yield "shares", self.shares.dump()
        yield "drift", self.drift.dump()
        yield "steering", self.steering.dump()
        yield "appeals", self.appeals.dump()
        yield "ledger", self.ledger.dump()
        yield "reuse", self.reuse.dump()

    def dump_tenant(self, tenant: str) -> bytes:
        return b"".join(at_rest.pieces(self.of(tenant)))

    @classmethod
    def load(cls, payload: bytes) -> Self:
        """The state a dump holds.

        Raises:
          UnreadableFold: the payload is damaged or of another format.
        """
        try:
            dump = _decoder.decode(payload)
        except msgspec.MsgspecError as error:
            raise UnreadableFold(f"learnt state cannot be read: {error}") from error
        if dump.format not in READABLE:
            raise UnreadableFold(f"learnt state has format {dump.format}; this version reads {FORMAT}")
        state = cls(dump.rules, dump.settings_hash)
        state.format, state.seq = dump.format, dump.seq
        state.steering = Steering(dump.steering)
        state.appeals = Appeals(dump.appeals)
        state.ledger = Ledger(dump.ledger)
        state.reuse = Reuse(dump.reuse)
        state.tenants = {of.tenant: at_rest.load(of, state.rules_of(of.tenant)) for of in dump.tenants}
        for tenant in state.tenants:
            state._configure(tenant)
        state.receipts = Receipts.load(dump.owed)
        state.shares = Shares.load(dump.shares)
        state.drift = Drift.load(dump.drift)
        return state


_decoder = msgspec.msgpack.Decoder(StateDump)
