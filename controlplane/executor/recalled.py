"""What past outcomes say of a planned action: its own record, those of similar actions, and captured failures."""

from collections.abc import Sequence

import msgspec

from auditor.cases import ADVISED, CaseCount, CaseRecord, probability
from auditor.fold import TenantFold

from ..embedding import Vector
from ..memory.actions import signature_of
from ..memory.passages import PassageSpace
from ..memory.ranking import Match
from ..memory.space import Space
from .matching import validations_of

NEIGHBOURS = 10
RETRIEVAL = 0.60  # similarity under which a memory is not about the same thing
SHARPNESS = 1  # another action's outcome counts by its similarity to this power
SHRINKAGE = 1.5  # outcomes that the tenant's rate of failure counts for


class NearCase(msgspec.Struct, frozen=True):
    """Outcomes of a similar action, or of a similar patch."""

    similarity: float
    record: CaseRecord


class Recalled(msgspec.Struct, frozen=True):
    """How likely the action is to fail as planned.

    weight: how many outcomes speak about it; speaking: log odds that each condition adds, "" for the action itself.
    """

    failing: float
    weight: float
    speaking: dict[str, float]


async def similar_actions(space: Space, vector: Vector) -> list[tuple[float, str]]:
    """The actions most similar to a text, as similarity and signature.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    if space.signature_index is None:
        return []
    found = await space.signature_index.search(vector, NEIGHBOURS)
    return [(similarity, space.signature_of[key].signature) for key, similarity in found if similarity >= RETRIEVAL]


async def failed_patches(space: Space, patches: PassageSpace, fold: TenantFold, vector: Vector) -> list[NearCase]:
    """The patches most similar to a text that failed when they were used, as advice that was run.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    near = await patches.nearest(vector, "patch", NEIGHBOURS)
    judged = [(similarity, validations_of(space, fold, seq)) for seq, similarity in near.items()]
    return [
        NearCase(similarity, CaseRecord(of.successes, of.failures, {ADVISED: CaseCount(of.successes, of.failures)}))
        for similarity, of in judged
        if similarity >= RETRIEVAL and of.failures
    ]


def near_cases(
    fold: TenantFold, namespace: str, own: str, similar: Sequence[tuple[float, str]], known: Sequence[Match]
) -> list[NearCase]:
    """Outcomes of similar actions, its own excepted.

    A fix reads much like the plan it mends and ends the other way: neither is a case for the other.
    For other actions it is one, once it failed as advice.
    """
    pairs = [(signature_of(e.planned_action), signature_of(e.resolution)) for e in (m.record.episode for m in known)]
    other = {own, *_other_side(fold, namespace, own, pairs)}
    near = [NearCase(similarity, fold.cases.of(namespace, sig)) for similarity, sig in similar if sig not in other]
    return [case for case in near if case.record.total]


def _other_side(fold: TenantFold, namespace: str, own: str, mended: Sequence[tuple[str, str]]) -> set[str]:
    """Of pairs of plan and fix: a fix's plans; any other action's fixes, and those of others unless they failed."""
    fixes = {fix for _, fix in mended}
    if own in fixes:
        return {plan for plan, _ in mended} - fixes
    return {fix for plan, fix in mended if plan == own or not fold.cases.of(namespace, fix).failed_as_advice}


def unreported(fold: TenantFold, namespace: str, matches: Sequence[Match]) -> list[Match]:
    """Captured failures whose action has no failure on record: the others were reported too, and count there."""
    return [m for m in matches if not _failures(fold, namespace, m)]


def captures(matches: Sequence[Match]) -> int:
    """How often these failures were captured."""
    return sum(1 + m.record.repeats for m in matches)


def recall_outcomes(
    fold: TenantFold, conditions: Sequence[str], own: CaseRecord, near: Sequence[NearCase], told: Sequence[Match]
) -> Recalled:
    """All outcomes that speak about an action together, each counted by how similar its action is."""
    base = fold.cases.base_rate(conditions)
    turn = conditions[-1]
    pool = [(1.0, own), *((case.similarity**SHARPNESS * case.record.speaks_at(turn), case.record) for case in near)]
    speaking = fold.cases.speaking(pool, conditions, base)
    seen = sum(weight * record.total for weight, record in pool)
    weight = sum(_told(m) for m in told)
    failing = probability(speaking) * seen + weight + base * SHRINKAGE
    return Recalled(failing / (seen + weight + SHRINKAGE), seen + weight, speaking)


def _told(match: Match) -> float:
    """What a captured failure that was not reported counts: each capture by its fit; without conditions, anywhere."""
    fit = match.precondition if match.record.conditions else 1.0
    return match.similarity**SHARPNESS * fit * (1 + match.record.repeats)


def _failures(fold: TenantFold, namespace: str, match: Match) -> int:
    return fold.cases.of(namespace, signature_of(match.record.episode.planned_action)).failures
