"""What happens to memory, told to whoever listens: each piece of news of one tenant, with ids and figures and no text.

Listeners are never waited for: one that is slow loses the oldest and is told how many.
"""

import asyncio
from collections import deque
from collections.abc import Iterator

import msgspec

from auditor.changes import Change
from auditor.events import AnyEvent, Captured, EpisodeDeleted, Recorded
from auditor.fold import Applied
from auditor.hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted

from .errors import Overloaded

# Every kind of news, and what it says. docs/memory.md has the same table.
KINDS = {
    "captured": "a failure was captured; `repeats` is the episode it repeats, if it repeats one",
    "promoted": "a fix became a skill, or is one again",
    "demoted": "a skill is retired",
    "swung": "what a memory (`what` is its kind) or an origin is worth changed much",
    "quarantined": "what a key captured is set aside",
    "quarantine_lifted": "it is let back in",
    "purged": "an episode was deleted for good",
    "archived": "memories that nobody came back to are set aside",
    "returned": "an archived memory is in use again",
}
KEPT, QUEUED, MOST_LISTENERS = 1000, 256, 32  # news of a tenant, of these for a listener, and its listeners
Place = tuple[int, int]  # an event's sequence number, and which of its news


class News(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; `at` is in seconds since the epoch."""

    place: Place
    tenant: str
    at: float
    kind: str
    details: dict[str, object]

    @property
    def id(self) -> str:
        return f"{self.place[0]}.{self.place[1]}"


def place_of(news_id: str) -> Place | None:
    """Where a piece of news stands; None for what is no id of one.

    >>> place_of("57.0"), place_of("x")
    ((57, 0), None)
    """
    seq, _, number = news_id.partition(".")
    if len(news_id) < 32 and seq.isdecimal() and number.isdecimal():
        return int(seq), int(number)
    return None


def news_of(recorded: Recorded, applied: Applied) -> list[News]:
    """What an event and its fold tell."""
    event = recorded.event
    said = [*_said(recorded.seq, event), *map(_changed, applied.changes)]
    return [
        News(place=(recorded.seq, number), tenant=event.tenant, at=event.at, kind=kind, details=details)
        for number, (kind, details) in enumerate(said)
    ]


def _said(seq: int, event: AnyEvent) -> Iterator[tuple[str, dict[str, object]]]:
    match event:
        case Captured():
            yield "captured", {"episode_id": seq, "repeats": event.duplicate_of}
        case Quarantined():
            yield "quarantined", {"key_id": event.key_id, "since": event.since, "until": event.until}
        case QuarantineLifted():
            yield "quarantine_lifted", {"quarantine_id": event.quarantine_id}
        case EpisodeDeleted():
            yield "purged", {"episode_id": event.episode_id}
        case EpisodesArchived():
            yield "archived", {"episode_ids": event.episode_ids}
        case EpisodeReturned():
            yield "returned", {"episode_id": event.episode_id}


def _changed(change: Change) -> tuple[str, dict[str, object]]:
    if change.kind == "swung":
        return change.kind, {
            "what": change.what,
            "name": change.name,
            "before": change.before,
            "after": change.after,
        }
    return change.kind, {"skill_id": int(change.name), "episode_id": change.episode_id}


class Listener:
    """What one listener has not taken yet."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self.lost = 0  # since it took the last time
        self.rang = asyncio.Event()
        self._kinds = kinds
        self._queue: deque[News] = deque()

    def hear(self, news: News) -> None:
        if news.kind not in self._kinds:
            return
        if len(self._queue) == QUEUED:
            self._queue.popleft()
            self.lost += 1
        self._queue.append(news)
        self.rang.set()

    def take(self) -> tuple[int, list[News]]:
        """How many were lost, and what came since."""
        taken, lost = list(self._queue), self.lost
        self._queue.clear()
        self.rang.clear()
        self.lost = 0
        return lost, taken


class Bus:
    """Hands news to the listeners of their tenant, and keeps the last for those that come back."""

    def __init__(self) -> None:
        self.closed = False
        self._kept: dict[str, deque[News]] = {}
        self._listeners: dict[str, set[Listener]] = {}
        self._begun: Place = (0, 0)  # the first piece of news this process had

    def observe(self, recorded: Recorded, applied: Applied) -> None:
        """Tell what a folded event did."""
        if not self._begun[0]:
            self._begun = (recorded.seq, 0)
        for news in news_of(recorded, applied):
            self._kept.setdefault(news.tenant, deque(maxlen=KEPT)).append(news)
            for listener in self._listeners.get(news.tenant, ()):
                listener.hear(news)

    def since(self, tenant: str, place: Place, kinds: frozenset[str]) -> tuple[bool, list[News]]:
        """What is kept of later news, and whether that is all there was."""
        kept = self._kept.get(tenant, deque[News]())
        dropped = len(kept) == KEPT and kept[0].place > place
        whole = not dropped and place[0] >= self._begun[0] - 1
        return whole, [news for news in kept if news.place > place and news.kind in kinds]

    def listen(self, tenant: str, kinds: frozenset[str]) -> Listener:
        """Hear of what comes from here on, until `leave`.

        Raises:
          Overloaded: too many of the tenant's listen.
        """
        listeners = self._listeners.setdefault(tenant, set())
        if len(listeners) >= MOST_LISTENERS:
            raise Overloaded(f"{MOST_LISTENERS} of this tenant's listen; let one go")
        listener = Listener(kinds)
        listeners.add(listener)
        return listener

    def leave(self, tenant: str, listener: Listener) -> None:
        self._listeners[tenant].discard(listener)

    async def close(self) -> None:
        """Have every listener end."""
        self.closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.rang.set()
