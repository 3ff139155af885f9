"""One namespace of one tenant: its episodes and action signatures, and the indexes they are found by."""

from collections.abc import Callable, Iterator, Mapping, Set
from sys import intern
from typing import Any, Literal

import msgspec

from auditor.events import Episode
from auditor.reflection_events import Reflected
from auditor.skill_events import SkillDescribed

from ..embedding import Vector
from ..licences import NOTHING, Denylist
from ..llm.local import UNKNOWN
from .actions import signature_of
from .index import Index
from .kinds import Kinds
from .lexical import LexicalIndex
from .sharing import Conditions, Recent, Stated, packed, short, stated, unpacked
from .texts import cause_of, episode_words

MAX_FAULT = 120  # characters
RECENT = 10_000  # episodes that are whole: those that came or were read last, some 20 MB
MOST_TASKS = 10_000  # of a space, whose last failure is known
TEXT = "text"  # the modality that everything has
Vectors = Mapping[str, Vector]  # by modality
Make = Callable[[str, int], Index]  # of a kind, for vectors of a dimension
Aside = Literal["quarantined", "archived"]  # why an episode is kept and not in use
NOT_PACKED: dict[str, Any] = {"error_class": "", "origin": "", "environment": {}, "preconditions": {}}

recent = Recent(RECENT)


class Made(msgspec.Struct, frozen=True):
    """What models made of a failure."""

    reflection: Reflected | None = None  # with the insight, whosever it is
    lender: "EpisodeRecord | None" = None  # what a reused reflection was made of
    evicted: bool = False  # it had one that was bad
    described: SkillDescribed | None = None  # what its fix does as a skill, in a model's words


class Whole(msgspec.Struct):
    """An episode while it is read."""

    episode: Episode
    cause: str | None = None  # once it was asked for


class EpisodeRecord(msgspec.Struct, gc=False):
    """An episode with its id, when it was captured, and how often it was captured again.

    What a search reads of every candidate is at hand. The episode is whole while it is read, else packed.
    """

    episode_id: int
    at: float
    error_class: str
    origin: str
    _stated: Stated
    by: str = ""  # who captured it first
    keys: frozenset[str] = frozenset()  # that captured it, but for what is quarantined
    repeats: int = 0
    made: Made = Made()
    aside: Aside | None = None
    aside_since: float = 0.0  # when it was set aside last
    _again: dict[str, tuple[float, float]] | None = None  # its captures, once there were several
    _whole: Whole | None = None
    _packed: bytes | None = None

    @classmethod
    def of(
        cls, episode_id: int, at: float, episode: Episode, by: str = "", keys: frozenset[str] = frozenset()
    ) -> "EpisodeRecord":
        """Of an episode, without its vector; it stays whole until it is packed."""
        conditions = stated(episode.environment, episode.preconditions)
        classed, origin = intern(episode.error_class), intern(episode.origin)
        record = cls(episode_id, at, classed, origin, conditions, intern(by), keys)
        record._whole = Whole(msgspec.structs.replace(episode, vector=b"", **record._at_hand))
        return record

    @property
    def episode(self) -> Episode:
        """As it was captured."""
        return self._read.episode

    @property
    def _read(self) -> Whole:
        """The last that were read are whole."""
        read = self._whole
        if read is None:
            assert self._packed is not None
            self._whole = read = Whole(msgspec.structs.replace(unpacked(self._packed), **self._at_hand))
            recent.add(self)
        return read

    @property
    def _at_hand(self) -> dict[str, Any]:
        """The fields of the episode that are not packed."""
        return {
            "error_class": self.error_class,
            "origin": self.origin,
            "environment": self._stated.environment,
            "preconditions": self._stated.preconditions,
        }

    def pack(self) -> None:
        """Hold the episode in little room."""
        if self._packed is None:
            self._packed = packed(msgspec.structs.replace(self.episode, **NOT_PACKED))
        self._whole = None

    @property
    def conditions(self) -> Conditions:
        """Under which it happened."""
        return self._stated.all

    @property
    def reflection(self) -> Reflected | None:
        """With the insight, whosever it is."""
        return self.made.reflection

    def remake(self, **made: Any) -> None:
        """Models made something of it, or what they made is gone."""
        self.made = msgspec.structs.replace(self.made, **made)

    @property
    def captures(self) -> dict[str, tuple[float, float]]:
        """By key, when it was captured first and last."""
        return self._again or {self.by: (self.at, self.at)}

    def captured(self, by: str, at: float) -> None:
        """It was captured once more."""
        self._again = self.captures
        first, last = self._again.get(by, (at, at))
        self._again[by] = min(first, at), max(last, at)

    @property
    def lenders(self) -> frozenset[str]:
        """The keys that captured what its reflection was made of."""
        return self.made.lender.keys if self.made.lender is not None else frozenset()

    @property
    def last_at(self) -> float:
        """When it was captured last, in seconds since the epoch."""
        return max(last for _, last in self.captures.values())

    @property
    def cause(self) -> str:
        """The line of its trace that says what went wrong, without links; read once."""
        read = self._read
        if read.cause is None:
            read.cause = cause_of(read.episode)
        return read.cause

    @property
    def fault(self) -> str:
        """What went wrong, in a few words: the error's class, or where it has none the line that says it."""
        known = self.error_class != UNKNOWN or not self.cause
        return self.error_class if known else repr(self.cause[:MAX_FAULT])

    @property
    def kind(self) -> tuple[str, str]:
        """Which failures are of one kind: those of an error class and an action signature."""
        return self.error_class, signature_of(self.episode.planned_action)


class SignatureRecord(msgspec.Struct, frozen=True):
    """An action signature with the text it is found by."""

    key: int  # the sequence number of its first sighting
    signature: str
    text: str


class Space:
    """Memory of one namespace of one tenant."""

    def __init__(self, make: Make, distrusted: Set[str] = frozenset(), denied: Denylist = NOTHING) -> None:
        self._make = make
        self.distrusted = distrusted  # keys that a quarantine is about
        self._denied = denied
        self.episodes: dict[int, EpisodeRecord] = {}  # that are in use
        self.aside: dict[int, tuple[EpisodeRecord, Vectors]] = {}  # that are not, each with its vectors
        self.of_key: dict[str, set[int]] = {}  # those in use, by the keys that captured them
        self._by_digest: dict[int, int] = {}  # of each digest, in short, the episode
        self._kinds = Kinds()
        self._last: dict[str, int] = {}  # the episode that a task captured last, tasks in the order they did
        self.signatures: dict[str, SignatureRecord] = {}
        self.signature_of: dict[int, SignatureRecord] = {}
        self.words = LexicalIndex()
        self.indexes: dict[str, Index] = {}  # of episodes, by modality
        self.signature_index: Index | None = None

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

    def known(self, episode_id: int) -> EpisodeRecord | None:
        """An episode, in use or not."""
        kept = self.aside.get(episode_id)
        return self.episodes.get(episode_id) if kept is None else kept[0]

    def first_of(self, digest: str) -> int | None:
        """The episode that is known by a digest, in use or not."""
        record = self.known(self._by_digest.get(short(digest), 0))
        return record.episode_id if record is not None and record.episode.digest == digest else None

    def forget(self, record: EpisodeRecord) -> None:
        """It is purged."""
        if self.aside.pop(record.episode_id, None) is None:
            self.take_out(record)
        self._by_digest.pop(short(record.episode.digest), None)

    def of_kind(self, kind: tuple[str, str]) -> Iterator[EpisodeRecord]:
        """The episodes in use of one kind, the newest first."""
        return map(self.episodes.__getitem__, self._kinds.newest(kind))

    def denies(self, record: EpisodeRecord) -> bool:
        """Whether its licence is one that nothing is told under."""
        return self._denied.objection(record.episode.license, record.episode.resolution) is not None

    def trusts(self, keys: Set[str]) -> bool:
        """Whether anybody among the keys is in no quarantine; of nobody nothing bad is known."""
        return not keys or bool(keys - self.distrusted)

    def admit(self, record: EpisodeRecord, vectors: Vectors) -> None:
        """It is in use from here on, and found by its vectors."""
        record.aside = None
        self.episodes[record.episode_id] = record
        self._count_in(record, record.keys)
        self._by_digest[short(record.episode.digest)] = record.episode_id
        self._kinds.add(record.kind, record.episode_id)
        self.words.add(record.episode_id, episode_words(record.episode))
        for modality, vector in vectors.items():
            self.index_episode(record.episode_id, vector, modality)

    def take_out(self, record: EpisodeRecord) -> Vectors:
        """It is in use no more; the vectors that it was found by."""
        del self.episodes[record.episode_id]
        self._kinds.remove(record.kind, record.episode_id)
        self._count_out(record, record.keys)
        self.words.remove(record.episode_id, episode_words(record.episode))
        taken = {modality: index.remove(record.episode_id) for modality, index in self.indexes.items()}
        return {modality: vector for modality, vector in taken.items() if vector is not None}

    def stands_by(self, record: EpisodeRecord, keys: frozenset[str]) -> None:
        """Those that captured an episode, but for what is quarantined, are these from here on."""
        if record.episode_id in self.episodes:
            self._count_out(record, record.keys - keys)
            self._count_in(record, keys - record.keys)
        record.keys = keys

    def _count_in(self, record: EpisodeRecord, keys: frozenset[str]) -> None:
        for key in keys:
            self.of_key.setdefault(key, set()).add(record.episode_id)

    def _count_out(self, record: EpisodeRecord, keys: frozenset[str]) -> None:
        for key in keys:
            self.of_key[key].remove(record.episode_id)
            if not self.of_key[key]:
                del self.of_key[key]

    @property
    def episode_index(self) -> Index | None:
        """By what was wanted and done."""
        return self.indexes.get(TEXT)

    def index_episode(self, episode_id: int, vector: Vector, modality: str = TEXT) -> None:
        if (index := self.indexes.get(modality)) is None:
            index = self.indexes[modality] = self._make(f"episodes {modality}", len(vector))
        if episode_id not in index:
            index.add(episode_id, vector)

    def index_signature(self, key: int, vector: Vector) -> None:
        if self.signature_index is None:
            self.signature_index = self._make("signatures", len(vector))
        self.signature_index.add(key, vector)
