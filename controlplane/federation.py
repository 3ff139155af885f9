"""Federation: a point's own experience is exported, and what other origins learnt is imported, or let go of again.

Nothing leaves or enters but by these acts. An entry is data from elsewhere: it is looked through whole before any of it
counts.
"""

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite

import msgspec

from auditor import Learner, PointRules
from auditor.federation import largest
from auditor.federation_events import Federated, OriginForgotten
from strategist.features.spec import FeatureSpec
from strategist.federation import Entry, leaving, own

from .clock import Clock
from .contract import FederationAnswer, ImportAnswer, ImportRequest, OriginAnswer
from .errands import Errands
from .errors import Conflict, SpecChanged, UnknownOrigin, UnknownPoint, Unprocessable
from .idempotency import Receipt
from .journal import Journal
from .tenants import Caller, Registry

ROOM = 192 * 1024  # bytes of an entry's cells, so that what is exported is small enough to be taken in
MOST_ORIGINS = 32
LABEL = "pointsman origin 1"
ROUNDING = 1.0 + 1e-9


class Federation:
    """Acts about what is exchanged with other origins, one after the other."""

    def __init__(
        self, learner: Learner, journal: Journal, registry: Registry, specs: Mapping[str, FeatureSpec], clock: Clock
    ) -> None:
        self._learner, self._journal, self._registry, self._specs = learner, journal, registry, specs
        self._clock, self._errands, self._turns = clock, Errands(), asyncio.Lock()

    async def told(self, tenant: str, point: str) -> FederationAnswer:
        """What the tenant learnt itself at a point, everything that was answered before in it, and what it imported.

        Raises:
          UnknownPoint: there is no such point.
        """
        self._refuse_unknown(point)
        await self._learner.passed(self._journal.last_seq)
        fold = self._learner.state.of(tenant)
        rules = fold.rules.points[point]
        entry = Entry(
            origin=self.origin(tenant),
            seq=self._learner.version,
            point=point,
            spec_hash=rules.spec_hash,
            weights=rules.weights,
            cells=own(fold.policies[point].table),
        )
        imported = [_described(event) for _, event in sorted(fold.imported.get(point, {}).items())]
        entry, left_out = await asyncio.to_thread(_fitting, entry, self._specs[point])
        return FederationAnswer(point=point, own=entry, left_out=left_out, imported=imported)

    def origin(self, tenant: str) -> str:
        """Who the tenant is to others: the same for ever in this data folder, and nobody else."""
        return f"or_{self._registry.derived(f'{LABEL} {tenant}').hex()[:32]}"

    async def take(
        self, caller: Caller, point: str, request: ImportRequest, receipt: Receipt | None = None
    ) -> ImportAnswer:
        """Import an entry. One that is older than what stands of its origin, or the same, changes nothing.

        Raises:
          UnknownPoint, SpecChanged, Conflict, Unprocessable: it cannot be had, or is not what was exported.
        """
        self._refuse_unknown(point)
        rules = self._learner.state.of(caller.tenant).rules.points[point]
        _refuse_foreign(request.entry, point, rules, self.origin(caller.tenant))
        _refuse_wrong(request.entry, self._specs[point], largest(point, rules))
        return await self._errands.finish(self._take(caller, request, receipt))

    async def _take(self, caller: Caller, request: ImportRequest, receipt: Receipt | None) -> ImportAnswer:
        async with self._turns:
            entry = request.entry
            imported = self._learner.state.of(caller.tenant).imported.get(entry.point, {})
            standing = imported[entry.origin].entry if entry.origin in imported else None
            reason = _unneeded(standing, entry)
            if standing is None and len(imported) >= MOST_ORIGINS:
                raise Conflict(f"{MOST_ORIGINS} origins are imported at {entry.point}; forget one first")
            answer = ImportAnswer(
                point=entry.point,
                origin=entry.origin,
                seq=entry.seq,
                cells=len(entry.cells),
                imported=reason is None,
                replaced=standing.seq if standing is not None and reason is None else None,
                reason=reason,
            )
            if receipt is not None:
                receipt.answer = answer
            at, by = self._clock.now(), caller.key_id
            event = Federated(tenant=caller.tenant, at=at, entry=entry, by=by, why=request.why)
            if reason is None or receipt is not None:  # a receipt has its act beside it, though it changes nothing
                await self._learner.reached(await (receipt or self._journal).append(event))
            return answer

    async def forget(self, caller: Caller, point: str, origin: str, why: str) -> None:
        """Let go of what an origin had learnt.

        Raises:
          UnknownPoint, UnknownOrigin: there is no such point; nothing of this origin stands there.
        """
        self._refuse_unknown(point)
        await self._errands.finish(self._forget(caller, point, origin, why))

    async def _forget(self, caller: Caller, point: str, origin: str, why: str) -> None:
        async with self._turns:
            if origin not in self._learner.state.of(caller.tenant).imported.get(point, {}):
                raise UnknownOrigin
            at, by = self._clock.now(), caller.key_id
            event = OriginForgotten(tenant=caller.tenant, at=at, point=point, origin=origin, by=by, why=why)
            await self._learner.reached(await self._journal.append(event))

    def _refuse_unknown(self, point: str) -> None:
        if point not in self._specs:
            raise UnknownPoint


def _fitting(entry: Entry, spec: FeatureSpec) -> tuple[Entry, int]:
    """What of the entry may leave and finds room, and how many cells do not find any; large tables take a while."""
    cells, left_out = leaving(entry.cells, spec.leaves, ROOM)
    return msgspec.structs.replace(entry, cells=cells).sealed(), left_out


def _refuse_foreign(entry: Entry, point: str, rules: PointRules, own_origin: str) -> None:
    """Raises for an entry that was not learnt elsewhere, at this point, under this spec, from these rewards."""
    if entry.point != point:
        raise Unprocessable(f"the entry was learnt at {entry.point}, not at {point}")
    if entry.origin == own_origin:
        raise Conflict("this is what this tenant learnt itself; it would be counted twice")
    if entry.spec_hash != rules.spec_hash:
        specs = f"{entry.spec_hash}; here it is {rules.spec_hash}"
        raise SpecChanged(f"the entry was learnt under feature spec {specs}")
    if entry.weights != rules.weights:
        names = sorted({name for name, _ in entry.weights.items() ^ rules.weights.items()})
        raise Conflict(f"the entry was learnt from other rewards: {', '.join(names)} weigh otherwise here")


def _refuse_wrong(entry: Entry, spec: FeatureSpec, limit: float) -> None:
    """Raises Unprocessable for the first cell that cannot be meant, or where the cells are not those of the digest."""
    for number, (key, _, value, _) in enumerate(entry.cells):
        if not isfinite(value) or abs(value) > limit * ROUNDING:
            raise Unprocessable(f"cells[{number}] has the value {value}; of these rewards it is at most {limit:.6g}")
        if not spec.leaves(key):
            raise Unprocessable(f"cells[{number}] is about a text, or a scalar of a caller's own: such keys stay home")
    for number, (before, cell) in enumerate(pairwise(entry.cells), start=1):
        if before[:2] >= cell[:2]:
            raise Unprocessable(f"cells[{number}] is not behind the one before it by key and action, or is there twice")
    if entry.sha256 != entry.digest:
        raise Unprocessable("the entry is not what was exported: its sha256 is of other content; export it again")


def _unneeded(standing: Entry | None, entry: Entry) -> str | None:
    """Why the entry changes nothing; None where it stands from here on.

    Raises:
      Conflict: two different entries have one number.
    """
    if standing is None or entry.seq > standing.seq:
        return None
    if entry.sha256 == standing.sha256:
        return "it is imported already"
    if entry.seq == standing.seq:
        raise Conflict(f"another entry of {entry.origin} has the number {entry.seq}: two data folders are one origin")
    return f"a newer one stands, of event {standing.seq}"


def _described(event: Federated) -> OriginAnswer:
    entry = event.entry
    return OriginAnswer(
        origin=entry.origin,
        seq=entry.seq,
        cells=len(entry.cells),
        sha256=entry.sha256,
        at=event.at,
        by=event.by,
        why=event.why,
    )
