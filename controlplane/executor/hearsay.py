"""Which remembered text a key is shown: its own, and what a second key stands behind.

What only one other key tells is hearsay. It counts (how often, how similar, which known class of errors), but its words
are not repeated: they may have been written to be.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from itertools import islice

import msgspec

from auditor.fold import TenantFold
from auditor.reflection_events import Reflected
from auditor.skills import ENOUGH

from ..llm.local import KNOWN, UNKNOWN
from ..memory.actions import normalise
from ..memory.space import EpisodeRecord, Space

LOOKED_AT = 50  # of the failures of a kind, the newest
Told = Callable[[EpisodeRecord], str]


class Hearsay(msgspec.Struct, frozen=True):
    """Memory as the key `asker` is shown it; without keys everybody is one."""

    asker: str
    space: Space
    fold: TenantFold

    def goal(self, record: EpisodeRecord) -> str:
        return self._told(record, lambda of: of.episode.goal)

    def plan(self, record: EpisodeRecord) -> str:
        return self._told(record, lambda of: of.episode.planned_action)

    def cause(self, record: EpisodeRecord) -> str:
        """The line of its trace that says what went wrong; numbers and paths may differ between the two keys."""
        return record.cause if self._told(record, lambda of: normalise(of.cause)) else ""

    def error_class(self, record: EpisodeRecord) -> str:
        """A class of ours is told to everybody; a client's own name is text."""
        named = record.error_class
        return named if named in KNOWN else self._told(record, lambda of: of.error_class) or UNKNOWN

    def resolution(self, record: EpisodeRecord) -> str:
        """Also where another key than its author's ran it and saw it work."""
        if self.may_read(record):
            return record.episode.resolution
        return self._told(record, lambda of: of.episode.resolution)

    def conditions(self, record: EpisodeRecord) -> dict[str, object]:
        return record.conditions if self._may_read(record.keys) else {}

    def reflection(self, made: Reflected | None) -> Reflected | None:
        """It tells of the failure it was made of, and of that it was reused for."""
        record = None if made is None else self.space.episodes.get(made.episode_id)
        if made is None or record is None or (made.of is not None and not record.lenders):
            return None  # none there is, or nobody stands for what it was made of
        return made if self._may_read(record.keys | record.lenders) else None

    def may_read(self, record: EpisodeRecord) -> bool:
        """Whether it is the asker's own, or two keys captured it or saw its fix work."""
        confirmed = {*self.fold.skills.confirmed.get(record.episode_id, ())} - self.space.distrusted
        return self._may_read(record.keys) or self._may_read(record.keys | confirmed)

    @property
    def has_proof(self) -> bool:
        """Whether a fix of the asker's own was seen to work here."""
        own = self.space.of_key.get(self.asker, set())
        return not self.fold.skills.confirmed.keys().isdisjoint(own)

    def may_have_asked(self, record: EpisodeRecord) -> bool:
        """Whether what a model makes of a failure may be shown."""
        return self._may_read(record.keys)

    def _told(self, record: EpisodeRecord, text: Told) -> str:
        """The text, if those may tell it that captured it with a failure of this kind."""
        said, keys = text(record), set(record.keys)
        if said and not self._may_read(keys):
            for other in islice(self.space.of_kind(record.kind), LOOKED_AT):
                if text(other) == said:
                    keys |= other.keys
        return said if self._may_read(keys) else ""

    def _may_read(self, keys: AbstractSet[str]) -> bool:
        return not self.asker or self.asker in keys or len(keys) >= ENOUGH
