"""Near-duplicates: failures that say the same in other words. They are counted, not remembered twice."""

from auditor.events import Episode

from ..embedding import Vector
from ..llm.local import UNKNOWN
from .actions import normalise
from .index import VectorsUnavailable
from .space import EpisodeRecord, Space

NEAR = 0.97  # cosine similarity of goal and command
LOOKED_AT = 16  # of the most similar failures


async def near_duplicate(space: Space, episode: Episode, vector: Vector, by: str) -> EpisodeRecord | None:
    """What the same key captured before of this failure; never what has another fix, or was met under other conditions.

    Only of the same key: a count makes a key one of those that tell a memory, and it must not tell another one's words.
    """
    if space.episode_index is None:
        return None
    new = EpisodeRecord.of(0, 0.0, episode)
    try:
        found = await space.episode_index.search(vector, LOOKED_AT)
    except VectorsUnavailable:  # to remember it twice is better than not at all
        return None
    for episode_id, similarity in found:
        if (record := space.episodes.get(episode_id)) is None:  # purged meanwhile
            continue
        same = alike(record, new) and record.conditions == new.conditions
        if similarity >= NEAR and by in record.keys and same:
            return record
    return None


def alike(known: EpisodeRecord, new: EpisodeRecord) -> bool:
    """Whether they are failures of one kind and the new one brings no fix that the known one does not have."""
    return (
        known.kind == new.kind
        and (new.error_class != UNKNOWN or normalise(known.cause) == normalise(new.cause))
        and new.episode.resolution in ("", known.episode.resolution)
    )
