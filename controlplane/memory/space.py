"""One namespace of one tenant: its episodes and action signatures, and the indexes they are found by."""

from collections.abc import Callable, Mapping, Set
from typing import Literal

import msgspec

from auditor.events import Episode
from auditor.reflection_events import Reflected
from auditor.skill_events import SkillDescribed

from ..embedding import Vector
from ..licences import NOTHING, Denylist
from ..llm.local import UNKNOWN
from ..masking import MASK
from .actions import signature_of
from .index import Index
from .lexical import LexicalIndex
from .texts import cause_of, episode_words

MAX_FAULT = 120  # characters
MOST_TASKS = 10_000  # of a space, whose last failure is known
TEXT = "text"  # the modality that everything has
Vectors = Mapping[str, Vector]  # by modality
Make = Callable[[str, int], Index]  # of a kind, for vectors of a dimension
Aside = Literal["quarantined", "archived"]  # why an episode is kept and not in use


class EpisodeRecord(msgspec.Struct):
    """An episode with its id, when it was captured, and how often it was captured again."""

    episode_id: int
    at: float
    episode: Episode
    by: str = ""  # who captured it first
    keys: frozenset[str] = frozenset()  # that captured it, but for what is quarantined
    repeats: int = 0
    reflection: Reflected | None = None  # with the insight, whosever it is
    lender: "EpisodeRecord | None" = None  # what a reused reflection was made of
    evicted: bool = False  # it had one that was bad
    described: SkillDescribed | None = None  # what its fix does as a skill, in a model's words
    aside: Aside | None = None
    aside_since: float = 0.0  # when it was set aside last
    _again: dict[str, tuple[float, float]] | None = None  # its captures, once there were several
    _cause: str | None = None
    _conditions: dict[str, object] | None = None

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
        return self.lender.keys if self.lender is not None else frozenset()

    @property
    def last_at(self) -> float:
        """When it was captured last, in seconds since the epoch."""
        return max(last for _, last in self.captures.values())

    @property
    def cause(self) -> str:
        """The line of its trace that says what went wrong, without links; read once."""
        if self._cause is None:
            self._cause = cause_of(self.episode)
        return self._cause

    @property
    def fault(self) -> str:
        """What went wrong, in a few words: the error's class, or where it has none the line that says it."""
        known = self.episode.error_class != UNKNOWN or not self.cause
        return self.episode.error_class if known else repr(self.cause[:MAX_FAULT])

    @property
    def kind(self) -> tuple[str, str]:
        """Which failures are of one kind: those of an error class and an action signature."""
        return self.episode.error_class, signature_of(self.episode.planned_action)

    @property
    def conditions(self) -> dict[str, object]:
        """Under which it happened."""
        if self._conditions is None:
            stated = {**self.episode.environment, **self.episode.preconditions}
            self._conditions = {name: value for name, value in stated.items() if value != MASK}
        return self._conditions


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
        self.by_digest: dict[str, int] = {}
        self.of_kind: dict[tuple[str, str], dict[int, EpisodeRecord]] = {}
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
        self.of_kind.setdefault(record.kind, {})[record.episode_id] = record
        self.words.add(record.episode_id, episode_words(record.episode))
        for modality, vector in vectors.items():
            self.index_episode(record.episode_id, vector, modality)

    def take_out(self, record: EpisodeRecord) -> Vectors:
        """It is in use no more; the vectors that it was found by."""
        del self.episodes[record.episode_id], self.of_kind[record.kind][record.episode_id]
        if not self.of_kind[record.kind]:
            del self.of_kind[record.kind]
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
