"""Which episodes are in use: not those that were archived, nor those of which every capture is quarantined."""

from collections.abc import Callable, Iterable, Mapping

from auditor.hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted

from .quarantine import Quarantines
from .sharing import only
from .space import Aside, EpisodeRecord, Space


class Hygiene:
    """Sets episodes of a store aside, out of every index, and lets them back in: a part of its fold."""

    def __init__(
        self,
        spaces: Mapping[tuple[str, str], Space],
        space_of: Callable[[str, int], Space | None],
        embed_again: Callable[[Space, EpisodeRecord, Iterable[str]], None],
    ) -> None:
        self.quarantines = Quarantines()
        self._spaces, self._space_of, self._embed_again = spaces, space_of, embed_again

    def fold(self, seq: int, event: Quarantined | QuarantineLifted | EpisodesArchived | EpisodeReturned) -> None:
        """Follow one event."""
        match event:
            case EpisodesArchived():
                for episode_id in event.episode_ids:
                    space = self._space_of(event.tenant, episode_id)
                    if space is not None and episode_id in space.episodes:
                        _set_aside(space, space.episodes[episode_id], "archived", event.at)
            case EpisodeReturned():
                space = self._space_of(event.tenant, event.episode_id)
                record = None if space is None else space.known(event.episode_id)
                if space is not None and record is not None:
                    self._return(event.tenant, space, record, event.at)
            case _:
                if (key := self.quarantines.fold(seq, event)) is not None:
                    for space, record in self.everything(event.tenant):
                        if key in record.captures:
                            self._weigh(event.tenant, space, record, event.at)

    def captured(self, tenant: str, space: Space, record: EpisodeRecord, at: float) -> None:
        """It was captured once more: who stands for it may have changed, and nothing is archived that comes again."""
        self._weigh(tenant, space, record, at)
        self._return(tenant, space, record, at)

    def everything(self, tenant: str) -> list[tuple[Space, EpisodeRecord]]:
        """All episodes of a tenant, in use or not."""
        return [
            (space, record)
            for (owner, _), space in self._spaces.items()
            if owner == tenant
            for record in (*space.episodes.values(), *(kept for kept, _ in space.aside.values()))
        ]

    def _weigh(self, tenant: str, space: Space, record: EpisodeRecord, at: float) -> None:
        """An episode that nobody stands for is set aside as long as that is so."""
        standing = self.quarantines.standing(tenant, record.captures)
        space.stands_by(record, only(*standing) if len(standing) == 1 else frozenset(standing))
        if not standing and record.aside is None:
            _set_aside(space, record, "quarantined", at)
        elif standing and record.aside == "quarantined":
            self._bring_back(space, record)

    def _return(self, tenant: str, space: Space, record: EpisodeRecord, at: float) -> None:
        """What was archived is in use again, unless it is quarantined."""
        if record.aside == "archived":
            self._bring_back(space, record)
            self._weigh(tenant, space, record, at)

    def _bring_back(self, space: Space, record: EpisodeRecord) -> None:
        _, vectors = space.aside.pop(record.episode_id)
        space.admit(record, vectors)
        self._embed_again(space, record, vectors)


def _set_aside(space: Space, record: EpisodeRecord, why: Aside, at: float) -> None:
    space.aside[record.episode_id] = record, space.take_out(record)
    record.aside, record.aside_since = why, at
