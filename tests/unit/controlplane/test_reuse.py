"""Whether two insights say the same, by examples: two ways to tell one cause, and two causes of one error class."""

import tomllib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

from auditor.reflection_events import Insight
from auditor.reuse import alike, told
from controlplane.embedding import Embedder, HashingEmbedder, SentenceEmbedder

FILE = Path(__file__).parents[2] / "fixtures" / "insights" / "insights.toml"
ONE_IN = 8  # of each kind of pair, at most one is mistaken for the other kind


class Example(msgspec.Struct, frozen=True):
    """An insight, and what it is about."""

    error_class: str
    cause: str
    root_cause: str
    resolution_strategy: str

    @property
    def told(self) -> str:
        words = {"root_cause": self.root_cause, "resolution_strategy": self.resolution_strategy}
        return told(Insight(**words, preconditions=(), environment_factors=(), confidence=0.5))


def examples() -> Sequence[Example]:
    return msgspec.convert(tomllib.loads(FILE.read_text("utf-8"))["insights"], list[Example])


@pytest.mark.parametrize("make", [HashingEmbedder, pytest.param(SentenceEmbedder, marks=pytest.mark.nightly)])
def test_one_cause_told_twice_is_taken_for_the_same_and_another_cause_of_the_class_is_not(make: type[Embedder]) -> None:
    found = examples()
    embedder = make()
    vectors = embedder.embed([example.told for example in found])
    same, other = list[bool](), list[bool]()
    for (i, one), (j, two) in combinations(enumerate(found), 2):
        if one.error_class == two.error_class:
            (same if one.cause == two.cause else other).append(alike(float(vectors[i] @ vectors[j])))
    print(f"{embedder.name}: {same.count(False)} of {len(same)} pairs of one cause are taken for two,", end=" ")
    print(f"{other.count(True)} of {len(other)} pairs of two causes for one")
    assert same.count(False) <= len(same) / ONE_IN
    assert other.count(True) <= len(other) / ONE_IN
