"""Near-duplicates in a ranked list: which stand for which, and what it takes to tell."""

import random
import tracemalloc

import numpy as np

from auditor.events import Episode
from auditor.worth import Standing
from controlplane.memory.clusters import representatives
from controlplane.memory.ranking import SHIPPED, Match
from controlplane.memory.space import EpisodeRecord

DIMENSION = 8


def match(number: int, vector: np.ndarray, resolution: str = "") -> Match:
    """What is of interest of it: its id, vector, fix."""
    episode = Episode(goal="g", planned_action="make", digest=str(number), resolution=resolution)
    terms = dict.fromkeys(("similarity", "lexical", "precondition", "recency", "worth", "origin"), 0.5)
    record = EpisodeRecord.of(number, 0.0, episode)
    return Match(record=record, standing=Standing(), weights=SHIPPED, vector=vector.astype(np.float32), **terms)


def copies(n: int) -> list[Match]:
    return [match(number, np.eye(DIMENSION)[0]) for number in range(n)]


def peak_of(ranked: list[Match]) -> int:
    tracemalloc.start()
    try:
        assert representatives(ranked, lambda _: True) == {0: len(ranked) - 1}
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_each_stands_with_the_first_that_it_is_nearly_the_same_as(seed: int) -> None:
    """Three directions and two fixes in any order: one for each, and the most that are asked for."""
    rng = random.Random(seed)
    said = [(rng.randrange(3), rng.choice("ab")) for _ in range(200)]
    ranked = [match(number, np.eye(DIMENSION)[place], fix) for number, (place, fix) in enumerate(said)]
    wanted = {said.index(of): said.count(of) - 1 for of in dict.fromkeys(said)}
    assert list(representatives(ranked, lambda _: True).items()) == list(wanted.items())
    assert list(representatives(ranked, lambda _: True, 2).items()) == list(wanted.items())[:2]
    assert representatives([], lambda _: True) == {}


def test_twice_as_many_copies_take_no_more_than_about_twice_as_much() -> None:
    assert peak_of(copies(2_000)) < 3 * peak_of(copies(1_000))
