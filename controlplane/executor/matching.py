"""Which remembered failures match a request: found by meaning and by words, ranked by all that is known of each."""

from collections.abc import Iterable, Mapping

import msgspec

from auditor.fold import TenantFold
from auditor.skills import NONE, Validations
from auditor.worth import NOWHERE, Standing

from ..embedding import Vector
from ..memory.fusion import Hit, fused
from ..memory.lexical import Keep
from ..memory.preconditions import Present
from ..memory.ranking import Match, recency, weights_of, worth
from ..memory.space import TEXT, Space
from ..memory.texts import plan_text
from .hearsay import Hearsay


class Sought(msgspec.Struct, frozen=True):
    """What matches are looked for: a plan by its vector and its words, as of `now`, under the present conditions."""

    vector: Vector
    text: str
    current: Mapping[str, object]
    now: float
    modality: str = TEXT  # that the vector is of

    @classmethod
    def of(
        cls,
        goal: str,
        planned_action: str,
        vector: Vector,
        current: Mapping[str, object],
        now: float,
        modality: str = TEXT,
    ) -> "Sought":
        """Its words are the action's, for that is what fails; the goal's where no action is told."""
        return cls(vector, plan_text("", planned_action) or goal, current, now, modality)


async def recall_matches(
    space: Space, fold: TenantFold, sought: Sought, k: int, keep: Keep | None = None
) -> list[Match]:
    """The k episodes of a space that are nearest in meaning and the k that share most words, as matches, best first.

    Where `keep` is given, those are looked for among the episodes that it keeps.

    Raises:
      VectorsUnavailable: a hosted index does not answer.
    """
    index = space.indexes.get(sought.modality)
    if index is None:
        return []
    present, weights = Present(sought.current), weights_of(fold)
    of_origins = dict[str, float]()

    def matched(hit: Hit) -> Match:
        record = space.episodes[hit.key]
        stands = fold.worth.standing(hit.key, record.error_class)
        if record.origin not in of_origins:
            of_origins[record.origin] = _worth_of_origin(fold, record.origin)
        return Match(
            record=record,
            similarity=max(0.0, min(1.0, hit.similarity)),
            lexical=hit.lexical,
            precondition=present.fit(record.conditions),
            recency=recency(sought.now - record.at),
            worth=_worth(space, fold, hit.key, stands),
            origin=of_origins[record.origin],
            standing=stands,
            weights=weights,
            vector=hit.vector,
        )

    hits = await fused(index, space.words, sought.vector, sought.text, k, keep)
    return ranked(matched(hit) for hit in hits if hit.key in space.episodes)  # not what was purged meanwhile


def validations_of(space: Space, fold: TenantFold, episode_id: int) -> Validations:
    """What agents said of an episode's fix; nothing, where only quarantined keys saw it work."""
    return fold.skills.of(episode_id) if space.trusts({*fold.skills.confirmed.get(episode_id, ())}) else NONE


def _worth(space: Space, fold: TenantFold, episode_id: int, stands: Standing) -> float:
    validations = validations_of(space, fold, episode_id)
    return worth(validations.successes, validations.failures, stands.uplift)


def _worth_of_origin(fold: TenantFold, name: str) -> float:
    origin = fold.worth.origins.get(name, NOWHERE)
    return worth(origin.successes, origin.failures, fold.worth.uplift_of_origin(name))


def ranked(matches: Iterable[Match]) -> list[Match]:
    """The best first."""
    return sorted(matches, key=lambda m: -m.score)


async def standing(
    space: Space,
    fold: TenantFold,
    sought: Sought,
    k: int,
    asker: str,
    matches: list[Match],
    keep: Keep | None = None,
) -> list[Match]:
    """The matches, found among those that `keep` keeps, in the order in which they stand before the key that asks.

    Once it has a fix of its own that was seen to work, what only one other key tells stands behind everything else it
    may read, which is looked for again: however much of the former there is, and whatever its text, it hides nothing.
    """
    hearsay = Hearsay(asker, space, fold)
    if all(hearsay.may_read(m.record) for m in matches) or not hearsay.has_proof:
        return matches

    def may_be_told(key: int) -> bool:
        return (keep is None or keep(key)) and hearsay.may_read(space.episodes[key])

    told = await recall_matches(space, fold, sought, k, may_be_told)
    return [*told, *(m for m in matches if not hearsay.may_read(m.record))]
