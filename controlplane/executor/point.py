"""What a decision point is: it recalls, it situates, it says what is eligible, and it carries the choice out."""

from collections.abc import Container, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Generic, Protocol, TypeVar
from zlib import crc32

import msgspec
import numpy as np
from numpy.typing import NDArray

from auditor import PointRules
from auditor.comparison import Who
from auditor.events import AnyEvent
from auditor.fold import TenantFold
from auditor.trace import Lesson, Offered
from auditor.wording import Plan
from strategist import Eligible, HeadChoice, Policy, State
from strategist.features.bins import Fact
from strategist.features.codebook import Centroids, Codebook, SignBits
from strategist.features.featurizer import Featurizer
from strategist.features.spec import FeatureSpec
from strategist.features.words import words_of

from ..contract import DecisionAnswer, DecisionRequest, Explanations
from ..embedding import Vector
from ..embedding.quantized import INT8

E = TypeVar("E", bound="Evidence")
Read = TypeVar("Read", bound="Evidence", contravariant=True)  # evidence that is handed in only


class Evidence(msgspec.Struct, kw_only=True):
    """What is known when a decision is due: the featurizer's raw inputs, and what could not be had."""

    facts: dict[str, Fact]
    text_codes: tuple[str, ...] = ()
    own_facts: dict[str, Fact] = {}
    words: tuple[int, ...] = ()
    sketch: bytes = b""
    known: dict[str, float] = {}  # what is known of actions' rewards before they are taken
    rule: str | None = None  # what the point's fixed rule would do
    prior: str | None = None  # the action it gives a head start: the rule's, or what the masks leave of it
    signature: str | None = None
    conditions: tuple[str, ...] = ()
    plan: Plan | None = None
    degraded: tuple[str, ...] = ()
    drawn: tuple[Offered, ...] = ()  # memories, at recall
    trace_id: str = ""  # of the decision, from when it is carried out
    asker: str = ""  # the key that asks; "" where no keys are read


class Acting(msgspec.Struct, frozen=True):
    """Who decides, what binds it, and who stands beside it: a policy, the rules in force, another policy."""

    policy: Policy
    rules: PointRules
    other: "Other | None" = None


class Other(msgspec.Struct, frozen=True):
    """A challenger, or the champion while its challenger acts, by the event since which the challenger stands there."""

    who: Who
    since: int
    acting: Acting


class Executed(msgspec.Struct, kw_only=True):
    """What carrying a choice out gave: the record for the trace, and events to journal with it."""

    record: dict[str, Any]
    cited: tuple[int, ...] = ()
    advised: str | None = None
    events: tuple[AnyEvent, ...] = ()
    abstained: bool = False
    lesson: Lesson | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer is made of, whatever the point."""

    request: DecisionRequest
    trace_id: str | None  # None: it could not be journalled
    heads: tuple[HeadChoice, ...]
    propensity: float
    policy_version: int
    phases_ms: dict[str, float]


class Point(Protocol, Generic[Read]):
    """One decision point."""

    name: str
    heads: tuple[str, ...]
    features: "Features"

    def eligible(
        self, head: str, evidence: Read, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        """What this head may choose after what the heads before it took, with a reason for each mask."""
        ...

    async def execute(self, evidence: Read, request: DecisionRequest, taken: Sequence[HeadChoice]) -> Executed:
        """Carry the choice out."""
        ...


class AskedPoint(Point[E], Protocol):
    """One that callers ask."""

    async def recall(self, fold: TenantFold, request: DecisionRequest, asker: str, now: float) -> E:
        """Gather what is known to the key that asks; a source that fails is named in `degraded`, and fails nothing."""
        ...

    def passing(self, request: DecisionRequest, evidence: E, rules: PointRules) -> Eligible:
        """The action the caller would take unasked, or what guard rules leave of it."""
        ...

    def answer(self, evidence: E, executed: Executed, decided: Decided) -> DecisionAnswer:
        """Tell the caller."""
        ...


class Features:
    """A point's feature spec at work."""

    def __init__(self, spec_file: str) -> None:
        self.spec = _shipped(spec_file)
        self.spec_hash = self.spec.hash
        self._featurizer = Featurizer(self.spec)
        self._codebooks: dict[tuple[str, int], Codebook] = {}

    def codes(self, vector: Vector, embedder: str) -> tuple[str, ...]:
        """Text codes of a vector, marked by the embedder whose geometry they cut."""
        made = self._codebooks.get((embedder, len(vector)))
        if made is None:
            made = self._codebooks[embedder, len(vector)] = _codebook(self.spec, embedder, len(vector))
        return tuple(f"{embedder}:{code}" for code in made.codes(vector))

    def sketch(self, vector: Vector, embedder: str) -> bytes:
        """What similar cases are found by; sketches of two embedders share bits only by chance."""
        bits = self.spec.sketch_bits
        return _projections(bits, embedder, len(vector)).sketch(vector) if bits else b""

    def words(self, text: str) -> tuple[int, ...]:
        """The words of a text that linear values read."""
        return words_of(text, self.spec.words) if self.spec.words else ()

    def state(self, evidence: Evidence) -> State:
        return self._featurizer.state(
            evidence.facts,
            text_codes=evidence.text_codes,
            own=evidence.own_facts,
            words=evidence.words,
            sketch=evidence.sketch,
        )


def explained(head: HeadChoice, state: str, decided: Decided, **more: Any) -> Explanations:
    """Why the head chose so; `state` is the key that says most of where it was."""
    return Explanations(
        q_value=head.q_value,
        visits=head.visits,
        exploration=head.exploration,
        state=state,
        masked=head.masked,
        phases_ms=decided.phases_ms,
        **more,
    )


def scalar(value: object) -> Fact:
    """A value of a free map, where it is one that can be featurized."""
    return value if isinstance(value, str | int | float | bool) else None


def own_scalars(given: Mapping[str, object], known: Container[str]) -> dict[str, Fact]:
    """The caller's own scalars in a free map: those that the point does not know by name."""
    found = {name: scalar(value) for name, value in given.items() if name not in known}
    return {name: fact for name, fact in found.items() if fact is not None}


def _codebook(spec: FeatureSpec, embedder: str, dimension: int) -> Codebook:
    if spec.codebook:
        learnt_with, levels = _learnt(spec.codebook)
        if learnt_with == embedder.removesuffix(INT8):  # 9 texts of 10 are in the same cell
            return Centroids(levels)
    return SignBits(spec.text_bits, dimension)


@cache
def _projections(bits: int, embedder: str, dimension: int) -> SignBits:
    return SignBits((bits,), dimension, crc32(embedder.encode()))


@cache
def _learnt(name: str) -> tuple[str, list[NDArray[np.float32]]]:
    """(embedder, centroids of each level [K, D], coarse to fine) of a shipped codebook."""
    with np.load(resources.files(__package__) / f"{name}.npz") as file:  # type: ignore[arg-type]
        levels = [file[level].astype(np.float32) for level in file.files if level != "embedder"]
        return str(file["embedder"]), sorted(levels, key=len)


@cache
def _shipped(spec_file: str) -> FeatureSpec:
    return FeatureSpec.from_toml((resources.files(__package__) / spec_file).read_text("utf-8"))
