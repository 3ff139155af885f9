"""A logged decision that contradicts itself is refused with what to do."""

from typing import Any

import msgspec
import pytest

from strategist import Situation, State
from strategist.errors import BadLog
from strategist.evaluation import LoggedDecision, Sight
from strategist.features.featurizer import Featurizer
from strategist.features.spec import FeatureSpec

SIGHT = Sight(Situation(State((("all",),)), ("a", "b")), facts={"region": "EU", "load": 0.4})
GOOD = {"row": 1, "sight": SIGHT, "action": "a", "propensity": 0.5, "probabilities": (0.5, 0.5), "reward": 1.0}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"propensity": 0.0}, "propensity 0.0 is not in (0, 1]"),
        ({"propensity": 1.5}, "propensity 1.5 is not in (0, 1]"),
        ({"propensity": float("nan")}, "propensity nan is not in (0, 1]"),
        ({"propensity": 1e-320}, "propensity 1e-320 is less than anybody draws with"),
        ({"propensity": 0.4}, "propensity 0.4 is not the 0.5 that the probabilities give"),
        ({"action": "c"}, "action 'c' is not among the eligible ones"),
        ({"probabilities": (1.0,)}, "1 probabilities for 2 actions"),
        ({"probabilities": (0.5, 0.6)}, "probabilities add up to 1.1, not 1"),
        ({"probabilities": (0.5, float("nan"))}, "a probability is not in [0, 1]"),
        ({"reward": float("inf")}, "reward is inf"),
        ({"terms": {"success": float("nan")}}, "term success is nan"),
        ({"reward": -1e200}, "reward is -1e+200; a reward is a number of at most 2^53 in size"),
        ({"terms": {"success": 1e300}}, "term success is 1e+300"),
        ({"latency_ms": 1e308}, "latency_ms is 1e+308"),
        ({"cost_usd": float("nan")}, "cost_usd is nan"),
        ({"latency_ms": float("inf")}, "latency_ms is inf"),
        ({"sight": Sight(Situation(State((("all",),)), ("a", "a")))}, "an action is eligible twice"),
    ],
)
def test_a_decision_that_contradicts_itself_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(BadLog) as refused:
        LoggedDecision(**(GOOD | wrong))
    assert said in str(refused.value)


def test_what_was_not_logged_is_shared_evenly() -> None:
    assert LoggedDecision(**GOOD).possible() == (0.5, 0.5)
    assert LoggedDecision(**(GOOD | {"propensity": 0.9, "probabilities": None})).possible() == pytest.approx((0.9, 0.1))


def test_a_certain_action_leaves_the_others_impossible() -> None:
    assert LoggedDecision(**(GOOD | {"propensity": 1.0, "probabilities": None})).possible() == (1.0, 0.0)


def test_raw_facts_give_the_state_of_another_spec() -> None:
    spec = FeatureSpec.from_toml(
        'point = "route"\nversion = 9\n[features]\nregion = { fact = "region" }\n'
        '[[tilings]]\nname = "place"\nlevels = [[], ["region"]]\n'
    )
    assert SIGHT.under(None) == SIGHT.situation
    assert SIGHT.under(Featurizer(spec)) == Situation(State((("place/", "place//eu"),)), ("a", "b"))


def test_a_spec_without_words_or_sketches_reads_none_of_those_that_were_logged() -> None:
    spec = FeatureSpec.from_toml(
        'point = "route"\nversion = 9\n[features]\nregion = { fact = "region" }\n'
        '[[tilings]]\nname = "place"\nlevels = [[], ["region"]]\n'
    )
    logged = State((("text", "text/01"),), words=(3, 7), sketch=bytes(8))
    sight = Sight(Situation(logged, ("a", "b")), facts={"region": "EU"}, text_codes=("01",))
    assert sight.under(Featurizer(spec)).state == State((("place/", "place//eu"),))
    reading = msgspec.structs.replace(spec, words=10, sketch_bits=64)
    assert sight.under(Featurizer(reading)).state == State((("place/", "place//eu"),), (3, 7), bytes(8))
