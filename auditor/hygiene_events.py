"""What operators do to memory as a whole, as events: sets aside what a key captured, and lets it back in."""

from .event import Event


class Quarantined(Event, frozen=True, kw_only=True, tag="quarantined"):
    """What a key captured from `since` on and before `until` is set aside; the event's sequence number is its id.

    Both are in seconds since the epoch; None is for ever.
    """

    key_id: str
    since: float = 0.0
    until: float | None = None
    why: str = ""
    by: str = ""

    def covers(self, key_id: str, first_at: float, last_at: float) -> bool:
        """Whether it is of this key and of all that was captured between two moments."""
        return self.key_id == key_id and self.since <= first_at and (self.until is None or last_at < self.until)


class QuarantineLifted(Event, frozen=True, kw_only=True, tag="quarantine_lifted"):
    """A quarantine is over: what nothing else sets aside is remembered again."""

    quarantine_id: int
    by: str = ""


class EpisodesArchived(Event, frozen=True, kw_only=True, tag="episodes_archived"):
    """Memories that nobody came back to for long are set aside, until they are captured, validated or asked for."""

    episode_ids: tuple[int, ...]


class EpisodeReturned(Event, frozen=True, kw_only=True, tag="episode_returned"):
    """An archived memory is remembered again."""

    episode_id: int
    by: str = ""
