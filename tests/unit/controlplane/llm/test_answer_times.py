"""How long a tier is thought to take."""

import pytest

from controlplane.llm.answer_times import KEPT, AnswerTimes

EXPECTED = {"cheap": 1500.0, "premium": 6000.0}


@pytest.fixture
def times() -> AnswerTimes:
    return AnswerTimes(EXPECTED)


def test_before_anything_is_measured_it_is_what_the_catalogue_says(times: AnswerTimes) -> None:
    assert {tier: times.needed_ms(tier) for tier in EXPECTED} == EXPECTED


def test_one_answer_is_enough_to_go_by_and_says_nothing_of_the_other_tier(times: AnswerTimes) -> None:
    times.note("cheap", 40.0)
    assert (times.needed_ms("cheap"), times.needed_ms("premium")) == (40.0, 6000.0)


def test_nine_of_ten_came_within_it(times: AnswerTimes) -> None:
    for ms in range(1, 21):
        times.note("cheap", float(ms))
    assert times.needed_ms("cheap") == 19.0


def test_the_last_hundred_count(times: AnswerTimes) -> None:
    for ms in (9000.0,) * KEPT + (10.0,) * KEPT:
        times.note("premium", ms)
    assert times.needed_ms("premium") == 10.0
