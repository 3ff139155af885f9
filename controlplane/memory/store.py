"""Episodes and action signatures of every tenant and namespace: a fold of the journal, kept searchable.

Each space (tenant, namespace) has indexes of its own, so nothing of another tenant can be found.
"""

from collections.abc import Iterator
from functools import lru_cache
from sys import intern

import msgspec
import numpy as np

from auditor.events import (
    Captured,
    Episode,
    EpisodeDeleted,
    Recorded,
    SignatureSeen,
)
from auditor.reflection_events import Reflected, ReflectionEvicted

from ..embedding import Vector
from ..llm.local import UNKNOWN, root_cause
from ..llm.redaction import redacted, unlinked
from .actions import signature, tool_of
from .lexical import LexicalIndex
from .vectors import VectorIndex

MAX_FAULT = 120  # characters
_EMPTY: dict[str, object] = {}  # nothing is ever put into it
MOST_TASKS = 10_000  # of a space, whose last failure is known


class EpisodeRecord(msgspec.Struct):
    """An episode with its id, when it was captured, and how often it was captured again."""

    episode_id: int
    at: float
    episode: Episode
    repeats: int = 0
    reflection: Reflected | None = None  # with the insight, whosever it is
    lender: "EpisodeRecord | None" = None  # what a reused reflection was made of
    evicted: bool = False  # it had one that was bad
    keys: frozenset[str] = frozenset()  # that captured it
    _cause: str | None = None
    _conditions: dict[str, object] | None = None

    @property
    def cause(self) -> str:
        """The line of its trace that says what went wrong, without links; read once."""
        if self._cause is None:
            self._cause = cause_of(self.episode)
        return self._cause

    @property
    def lenders(self) -> frozenset[str]:
        """The keys that captured what its reflection was made of."""
        return self.lender.keys if self.lender is not None else frozenset()

    @property
    def fault(self) -> str:
        """What went wrong, in a few words: the error's class, or where it has none the line that says it."""
        known = self.episode.error_class != UNKNOWN or not self.cause
        return self.episode.error_class if known else repr(self.cause[:MAX_FAULT])

    @property
    def kind(self) -> tuple[str, str]:
        """Which failures are of one kind: those of an error class and an action signature."""
        planned = self.episode.planned_action
        return self.episode.error_class, signature(tool_of(planned), planned)

    @property
    def conditions(self) -> dict[str, object]:
        """Under which it happened."""
        if self._conditions is None:
            self._conditions = {**self.episode.environment, **self.episode.preconditions}
        return self._conditions


class SignatureRecord(msgspec.Struct, frozen=True):
    """An action signature with the text it is found by."""

    key: int  # the sequence number of its first sighting
    signature: str
    text: str


class Space:
    """Memory of one namespace of one tenant."""

    def __init__(self) -> None:
        self.episodes: dict[int, EpisodeRecord] = {}
        self.by_digest: dict[str, int] = {}
        self.of_kind: dict[tuple[str, str], dict[int, EpisodeRecord]] = {}
        self._last: dict[str, int] = {}  # the episode that a task captured last, tasks in the order they did
        self.signatures: dict[str, SignatureRecord] = {}
        self.signature_of: dict[int, SignatureRecord] = {}
        self.words = LexicalIndex()
        self.episode_index: VectorIndex | None = None
        self.signature_index: VectorIndex | None = None

    def captured_by(self, task_id: str, episode_id: int) -> None:
        """The task's newest failure is this one."""
        self._last.pop(task_id, None)
        self._last[task_id] = episode_id
        if len(self._last) > MOST_TASKS:
            del self._last[next(iter(self._last))]

    def last_of(self, task_id: str | None) -> Episode | None:
        """The failure that a task captured last, as it was captured first; None where it was purged or long ago."""
        record = self.episodes.get(self._last.get(task_id or "", 0))
        return None if record is None else record.episode

    def index_episode(self, episode_id: int, vector: Vector) -> None:
        if self.episode_index is None:
            self.episode_index = VectorIndex(len(vector))
        self.episode_index.add(episode_id, vector)

    def index_signature(self, key: int, vector: Vector) -> None:
        if self.signature_index is None:
            self.signature_index = VectorIndex(len(vector))
        self.signature_index.add(key, vector)


class Stale(msgspec.Struct, frozen=True):
    """A memory whose vector is another embedder's: it is embedded again before it can be found."""

    space: Space
    key: int
    text: str
    is_episode: bool


class MemoryStore:
    """All spaces. `observe` folds events; nothing else changes it."""

    def __init__(self) -> None:
        self._spaces: dict[tuple[str, str], Space] = {}
        self._space_of_episode: dict[tuple[str, int], Space] = {}
        self.reflections: dict[tuple[str, str], Reflected] = {}  # by tenant and id
        self.embedder = ""  # vectors of other embedders cannot be compared with
        self.stale: list[Stale] = []
        self.position = 0  # the last event taken in
        self.live = False
        self._held: list[Recorded] = []

    def space(self, tenant: str, namespace: str) -> Space:
        return self._spaces.setdefault((tenant, namespace), Space())

    def spaces(self) -> Iterator[Space]:
        yield from self._spaces.values()

    def episode(self, tenant: str, episode_id: int) -> EpisodeRecord | None:
        space = self._space_of_episode.get((tenant, episode_id))
        return None if space is None else space.episodes.get(episode_id)

    def observe(self, recorded: Recorded) -> None:
        """Take in one committed event; until the past is loaded it is held back."""
        if self.live:
            self.take(recorded)
        elif isinstance(recorded.event, Captured | SignatureSeen | EpisodeDeleted | Reflected | ReflectionEvicted):
            self._held.append(recorded)

    def go_live(self) -> None:
        """The past is loaded: take in what was held back and everything from here on."""
        for recorded in self._held:
            self.take(recorded)
        self._held.clear()
        self.live = True

    def take(self, recorded: Recorded) -> None:
        """Fold one event, once."""
        if recorded.seq <= self.position:
            return
        self.position = recorded.seq
        match recorded.event:
            case Captured() as event:
                self._captured(recorded.seq, event)
            case SignatureSeen() as event:
                self._signature_seen(recorded.seq, event)
            case EpisodeDeleted() as event:
                self._deleted(event)
            case Reflected() as event:
                self._reflected(event)
            case ReflectionEvicted() as event:
                self._evicted(event.tenant, event.reflection_id)
                self._let_go(event.tenant, event.episode_id)

    def _captured(self, seq: int, event: Captured) -> None:
        space = self.space(event.tenant, event.episode.namespace)
        first = space.by_digest.get(event.episode.digest)
        if event.episode.task_id:
            space.captured_by(event.episode.task_id, first or seq)
        if first is not None:
            space.episodes[first].repeats += 1
            space.episodes[first].keys |= {event.by}
            return
        record = EpisodeRecord(seq, event.at, _held(event.episode), keys=_only(event.by))
        space.episodes[seq] = space.of_kind.setdefault(record.kind, {})[seq] = record
        space.by_digest[event.episode.digest] = seq
        self._space_of_episode[event.tenant, seq] = space
        space.words.add(seq, episode_words(record.episode))
        if event.episode.embedder == self.embedder:
            space.index_episode(seq, np.frombuffer(event.episode.vector, np.float32))
        else:
            self.stale.append(Stale(space, seq, episode_text(event.episode), is_episode=True))

    def _signature_seen(self, seq: int, event: SignatureSeen) -> None:
        space = self.space(event.tenant, event.namespace)
        if event.signature in space.signatures:
            return
        record = SignatureRecord(seq, event.signature, event.text)
        space.signatures[event.signature] = space.signature_of[seq] = record
        if event.embedder == self.embedder:
            space.index_signature(seq, np.frombuffer(event.vector, np.float32))
        else:
            self.stale.append(Stale(space, seq, event.text, is_episode=False))

    def _reflected(self, event: Reflected) -> None:
        """An episode keeps its first one, unless that was wrongly reused; of what is gone nothing is remembered."""
        record = self.episode(event.tenant, event.episode_id)
        root = event if event.of is None else self.reflections.get((event.tenant, event.of))
        if record is None or record.evicted or root is None:
            return
        if (before := record.reflection) is not None:
            if event.replaces is None or before.of is None:
                return
            del self.reflections[event.tenant, before.reflection_id]
        record.reflection = msgspec.structs.replace(event, insight=root.insight)
        lent = self.episode(event.tenant, root.episode_id)
        record.lender = lent if lent is not record else None
        self.reflections[event.tenant, event.reflection_id] = record.reflection

    def _evicted(self, tenant: str, root: str) -> None:
        for name in [name for (of, name), made in self.reflections.items() if of == tenant and made.root == root]:
            gone = self.reflections.pop((tenant, name))
            if (record := self.episode(tenant, gone.episode_id)) is not None:
                record.reflection = None

    def _let_go(self, tenant: str, episode_id: int) -> None:
        """An episode whose reflection was bad gets no other, nor back what that one replaced."""
        if (record := self.episode(tenant, episode_id)) is not None:
            record.evicted = True
            if record.reflection is not None:
                del self.reflections[tenant, record.reflection.reflection_id]
                record.reflection = None

    def uses(self, tenant: str, root: str) -> list[int]:
        """The episodes that have a reflection, or what was taken from it."""
        held = (made for (of, _), made in self.reflections.items() if of == tenant)
        return [made.episode_id for made in held if made.root == root]

    def _deleted(self, event: EpisodeDeleted) -> None:
        space = self._space_of_episode.pop((event.tenant, event.episode_id), None)
        if space is None:
            return
        record = space.episodes.pop(event.episode_id)
        del space.of_kind[record.kind][event.episode_id]
        if not space.of_kind[record.kind]:
            del space.of_kind[record.kind]
        if record.reflection is not None and record.reflection.of is None:
            self._evicted(event.tenant, record.reflection.reflection_id)  # it tells of what is purged
        elif record.reflection is not None:
            del self.reflections[event.tenant, record.reflection.reflection_id]
        space.by_digest.pop(record.episode.digest, None)
        space.words.remove(event.episode_id, episode_words(record.episode))
        if space.episode_index is not None:
            space.episode_index.remove(event.episode_id)

    def counts(self, tenant: str | None = None) -> dict[str, int]:
        """Of one tenant, or of all."""
        spaces = [space for (owner, _), space in self._spaces.items() if tenant in (owner, None)]
        return {
            "episodes": sum(len(space.episodes) for space in spaces),
            "signatures": sum(len(space.signatures) for space in spaces),
            "stale_vectors": sum(stale.space in spaces for stale in self.stale),
        }


def plan_text(goal: str, planned_action: str) -> str:
    """What a plan, and the memory of one, is embedded as."""
    return redacted("\n".join(part for part in (goal, planned_action) if part))


def episode_text(episode: Episode) -> str:
    return plan_text(episode.goal, episode.planned_action or " ".join(episode.tool_chain))


def episode_words(episode: Episode) -> str:
    """What an episode is found by its words in."""
    said = episode_text(episode), *episode.tool_chain, cause_of(episode), redacted(episode.resolution), *episode.tags
    return "\n".join(said)


def cause_of(episode: Episode) -> str:
    """The line of its trace that says what went wrong, without links."""
    return unlinked(root_cause(episode.error_trace))


def _held(episode: Episode) -> Episode:
    """An episode as it is kept: without its vector, and with one copy of what many have in common."""
    return msgspec.structs.replace(
        episode,
        vector=b"",
        embedder=intern(episode.embedder),
        error_class=intern(episode.error_class),
        origin=intern(episode.origin),
        environment=_sharing(episode.environment),
        preconditions=_sharing(episode.preconditions),
        custom=_sharing(episode.custom),
    )


def _sharing(values: dict[str, object]) -> dict[str, object]:
    return {name: intern(value) if isinstance(value, str) else value for name, value in values.items()} or _EMPTY


@lru_cache(1_000)
def _only(key: str) -> frozenset[str]:
    return frozenset((key,))
