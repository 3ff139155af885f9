"""What an event changed in how much memories are trusted, as figures."""

from typing import Literal

import msgspec

MemoryKind = Literal["episode", "document", "patch", "record"]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A skill was promoted or demoted, or what a memory or an `origin` is worth swung: from, to."""

    kind: Literal["promoted", "demoted", "swung"]
    what: MemoryKind | Literal["skill", "origin"] = "skill"
    name: str  # the id of a memory or skill, or an origin
    episode_id: int | None = None  # that a skill rests on
    before: float | None = None  # of a swing
    after: float | None = None
