"""What `make bench-chat-routing` measures: figures worked by hand, and a few questions through real processes."""

import asyncio
import xml.etree.ElementTree as ElementTree

import httpx
import numpy as np
import pytest

from benchmarks.chat_routing.figures import Point, above, above_ranked, always, ranking, spent
from benchmarks.chat_routing.picture import drawing
from benchmarks.chat_routing.play import AT_ONCE, Played, play
from benchmarks.chat_routing.questions import Questions
from benchmarks.chat_routing.station import station

FOUR = Questions(
    ["a", "b", "c", "d"],
    np.array([9, 19, 29, 39]),
    np.array([[False, True], [True, True], [False, True], [False, False]]),
)
BEST, WORST = np.array([4.0, 2.0, 3.0, 1.0]), np.array([1.0, 4.0, 2.0, 3.0])
MIXED = Played(np.array([True, False, True, False]), np.array([True, True, True, False]), BEST)


def test_a_ranking_is_the_area_under_what_is_recovered_of_the_gap() -> None:
    assert ranking(BEST, FOUR) == pytest.approx(((0.25 + 0.75 + 1.0 + 1.0) / 4, 0.25, 0.5))
    assert ranking(WORST, FOUR) == pytest.approx(((0.0 + 0.0 + 0.25 + 0.75) / 4, 0.75, 1.0))


def test_always_one_model_costs_what_its_tokens_do() -> None:
    assert always(FOUR, 0) == pytest.approx(Point(0.25, 25 * 0.24e-3))
    assert always(FOUR, 1) == pytest.approx(Point(0.75, 25 * 24.7e-3))


def test_what_is_above_a_coin_is_above_the_line_between_the_two_models_at_the_same_cost() -> None:
    assert spent(FOUR, MIXED) == pytest.approx(Point(0.75, (40 * 24.7e-3 + 60 * 0.24e-3) / 4))
    more, (low, high) = above(FOUR, [MIXED, MIXED], 1)
    assert more == pytest.approx(0.75 - (0.25 + 0.4 * 0.5)), "two fifths of the tokens went to the premium model"
    assert low <= more <= high


def test_who_ranks_as_well_is_as_accurate_for_the_same_money() -> None:
    assert above_ranked(FOUR, MIXED, BEST) == pytest.approx(0.0)
    assert above_ranked(FOUR, MIXED, WORST) > 0.2


def test_the_picture_has_a_dot_for_each_fixed_choice_and_each_weight() -> None:
    point = {"accuracy": (0.75, 0.0), "usd": (1.5, 0.0), "above": 0.01, "interval": [0.0, 0.02]}
    fixed = {"cheap": {"accuracy": 0.68, "usd": 0.03}, "premium": {"accuracy": 0.8, "usd": 2.9}}
    drawn = ElementTree.fromstring(drawing({"always": fixed, "routed": {"1.0": point, "2.0": point}}))
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 4


def test_the_ledger_the_bill_and_the_questions_agree_on_what_was_spent(seed: int) -> None:
    """A few questions through a server and two providers, each a process: what the client sees is what was recorded."""
    numbers = np.arange(20)
    right = np.column_stack([numbers % 2 == 0, numbers >= 0])
    asked = Questions([f"Question number {number}" for number in numbers], numbers + 5, right)
    order = np.random.default_rng(seed).permutation(20)
    with station(asked, POINTSMAN_EMBEDDER="hashing", POINTSMAN_SEED=str(seed)) as running:
        key, heard = running.tenant("frugal", 1.5), list[int]()
        played = asyncio.run(play(running.url, key, asked, order, heard.append))
        policy = httpx.get(f"{running.url}/v1/points/chat/policy", headers={"X-API-Key": key}).json()
        ought = int(np.where(played.premium, asked.nano_usd[:, 1], asked.nano_usd[:, 0]).sum())
        assert (running.spent("frugal"), running.billed()) == (ought, ought)
        assert policy["rules"]["weights"]["spent"] == 1.5
    assert heard == [AT_ONCE, 20 - AT_ONCE]
    assert 0 < played.premium.sum() < 20
    assert (played.right == np.where(played.premium, right[:, 1], right[:, 0])).all()
    assert not played.gaps[order[:AT_ONCE]].any(), "before anything was reported nothing is learnt"
    assert played.gaps[order[AT_ONCE:]].all()
