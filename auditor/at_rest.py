"""A tenant's fold at rest: written piece by piece, read in one go; equal folds give equal bytes."""

from collections.abc import Iterator

import msgspec

from strategist import PolicySnapshot

from .cases import Cases, CasesDump
from .counts import PointCounts
from .credit import Credit, OpenDecision, TaskDump
from .errors import UnreadableFold
from .federation import follow
from .federation_events import Federated
from .fold import TenantFold
from .packing import mapping
from .proof import Proof
from .rival import Rival, RivalDump
from .rules import Rules
from .sessions import Sessions, SessionsDump
from .skills import Skill, Skills
from .worth import Worth, WorthDump

FORMAT = 4
READABLE = (3, FORMAT)  # 3 has no history of skills


class TenantDump(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's learnt state at rest; equal states give equal bytes."""

    format: int = 3  # of before dumps of tenants said theirs
    tenant: str
    policies: dict[str, PolicySnapshot]
    counts: dict[str, PointCounts]
    open: list[OpenDecision]
    trajectories: list[TaskDump]
    cases: CasesDump
    validations: list[tuple[int, int, int, list[str]]]
    skills: list[Skill]
    proof: Proof = msgspec.field(default_factory=Proof)
    rivals: dict[str, RivalDump] = {}
    imported: list[Federated] = []  # by point and origin
    confirmed: list[tuple[int, list[str]]] = []
    sessions: SessionsDump = SessionsDump()
    worth: WorthDump = msgspec.field(default_factory=WorthDump)


def pieces(fold: TenantFold) -> Iterator[bytes]:
    """A TenantDump's encoding, piece by piece; nothing may be folded in between."""
    return mapping(len(TenantDump.__struct_fields__), _fields(fold))


def _fields(fold: TenantFold) -> Iterator[tuple[str, object]]:
    """Those of a TenantDump, in order, each made when it is asked for."""
    yield "format", FORMAT
    yield "tenant", fold.tenant
    yield "policies", policies(fold)
    yield "counts", fold.counts
    decisions, trajectories = fold.credit.dump()
    yield "open", decisions
    yield "trajectories", trajectories
    yield "cases", fold.cases.dump()
    validations, skills = fold.skills.dump()
    yield "validations", validations
    yield "skills", skills
    yield "proof", fold.proof
    yield "rivals", {point: rival.dump() for point, rival in fold.rivals.items()}
    yield "imported", [event for _, origins in sorted(fold.imported.items()) for _, event in sorted(origins.items())]
    yield "confirmed", sorted(fold.skills.confirmed.items())
    yield "sessions", fold.sessions.dump()
    yield "worth", fold.worth.dump()


def policies(fold: TenantFold) -> dict[str, PolicySnapshot]:
    """What each point has learnt."""
    spec_of = {point: of.spec_hash for point, of in fold.rules.points.items()}
    return {point: PolicySnapshot.of(policy, spec_of[point]) for point, policy in fold.policies.items()}


def load(dump: TenantDump, rules: Rules) -> TenantFold:
    """The fold a dump holds.

    Raises:
      SpecMismatch: a point's feature spec is not the one its values were learnt under.
    """
    fold = TenantFold(dump.tenant, rules)
    fold.touched = True
    for point, snapshot in dump.policies.items():
        fold.policies[point] = snapshot.restore(rules.points[point].policy, rules.points[point].spec_hash)
        fold.counts[point] = dump.counts[point]
    fold.credit = Credit.load(dump.open, dump.trajectories)
    fold.cases = Cases.load(dump.cases)
    fold.skills = Skills.load(dump.validations, dump.skills)
    fold.skills.confirmed = dict(dump.confirmed)
    fold.sessions = Sessions.load(dump.sessions)
    fold.worth = Worth.load(dump.worth)
    fold.proof = dump.proof
    fold.rivals = {point: Rival.load(rival, rules.points[point]) for point, rival in dump.rivals.items()}
    for event in dump.imported:
        follow(fold, event)
    return fold


def decode_tenant(payload: bytes) -> TenantDump:
    """One tenant's dump, as a checkpoint holds it.

    Raises:
      UnreadableFold: the payload is damaged.
    """
    try:
        return _tenant_decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise UnreadableFold(f"the checkpoint cannot be read: {error}") from error


_tenant_decoder = msgspec.msgpack.Decoder(TenantDump)
