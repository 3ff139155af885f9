"""A session joins a query to its outcome, once; what it returns goes to the origins of the memories that were used."""

import pytest

from auditor.answers import SessionResult
from auditor.ranker_events import RankerSet
from auditor.session_events import Queried, SessionReported, Shown
from auditor.sessions import LATE, MOST_OPEN, OVER_SHARE, TOLD, UNSHOWN, WINDOW_S, Sessions


def shown(item: int, origin: str, of: str = "bots") -> Shown:
    return Shown(item=item, kind="record", origin=origin, of=of, scores={"similarity": 0.9})


def begun(sessions: Sessions, name: str, *memories: Shown, at: float = 0.0) -> None:
    sessions.apply(1, Queried(tenant="t", at=at, session_id=name, namespace="", shown=memories))


def told(
    sessions: Sessions,
    name: str,
    *,
    success: bool,
    contribution: float = 1.0,
    used: tuple[int, ...] | None = None,
    at: float = 1.0,
    counts: bool = True,
) -> SessionResult:
    event = SessionReported(
        tenant="t", at=at, session_id=name, success=success, contribution=contribution, used=used, counts=counts
    )
    result = sessions.apply(2, event)
    assert result is not None
    return result


def test_a_session_s_return_goes_in_equal_parts_to_what_was_used() -> None:
    """By hand: of a contribution of .8, half to each of two origins; what was shown and not used gets nothing."""
    sessions = Sessions()
    begun(sessions, "s1", shown(1, "a"), shown(2, "b", "workflows"), shown(3, "c"))
    assert told(sessions, "s1", success=True, contribution=0.8, used=(1, 2)).returned == 0.8
    assert sessions.origin("bots", "a").returned == pytest.approx(0.4)
    assert sessions.origin("workflows", "b").sessions == 0.5
    assert sessions.origin("bots", "c").sessions == 0.0
    begun(sessions, "s2", shown(1, "a"), at=2.0)
    assert told(sessions, "s2", success=False, at=3.0).returned == -1.0
    of_a = sessions.origin("bots", "a")
    assert (of_a.sessions, of_a.successes, of_a.returned) == (1.5, 0.5, pytest.approx(-0.6))
    assert of_a.success_rate == pytest.approx((0.5 + 1) / 3.5)
    assert of_a.mean_return == pytest.approx(-0.6 / 3.5)


def test_the_more_sessions_speak_the_surer_a_return_is() -> None:
    sessions = Sessions()
    deviations = []
    for number in range(200):
        begun(sessions, f"s{number}", shown(1, "a"), at=float(number))
        told(sessions, f"s{number}", success=number % 4 != 0, at=float(number))
        deviations.append(sessions.origin("bots", "a").deviation)
    assert deviations[-1] < deviations[20] < deviations[0]
    assert sessions.origin("bots", "a").mean_return == pytest.approx(0.5, abs=0.02)


def test_an_outcome_counts_once_and_a_repeat_says_so() -> None:
    sessions = Sessions()
    begun(sessions, "s1", shown(1, "a"))
    assert told(sessions, "s1", success=True).updated
    assert told(sessions, "s1", success=True).duplicate
    other = told(sessions, "s1", success=False)
    assert (other.updated, other.duplicate, other.reason) == (False, False, TOLD)
    assert sessions.origin("bots", "a").sessions == 1.0


@pytest.mark.parametrize(
    ("used", "counts", "at", "reason"),
    [((9,), True, 1.0, UNSHOWN), (None, False, 1.0, OVER_SHARE), (None, True, WINDOW_S + 1.0, LATE)],
)
def test_what_speaks_of_nothing_shown_comes_late_or_is_beyond_its_share_teaches_nothing(
    used: tuple[int, ...] | None, counts: bool, at: float, reason: str
) -> None:
    sessions = Sessions()
    begun(sessions, "s1", shown(1, "a"))
    result = told(sessions, "s1", success=True, used=used, counts=counts, at=at)
    assert (result.updated, result.reason) == (False, reason)
    assert not sessions.origins
    assert not sessions.joined


def test_of_too_many_sessions_the_oldest_are_forgotten() -> None:
    sessions = Sessions()
    for number in range(MOST_OPEN + 3):
        begun(sessions, f"s{number}", shown(1, "a"))
    assert len(sessions.open) == MOST_OPEN
    assert told(sessions, "s0", success=True).reason == LATE
    assert told(sessions, f"s{MOST_OPEN + 2}", success=True).updated


def test_sessions_are_the_same_after_they_were_written_down() -> None:
    sessions = Sessions()
    begun(sessions, "s1", shown(1, "a"))
    begun(sessions, "s2", shown(2, "b"))
    told(sessions, "s1", success=True)
    loaded = Sessions.load(sessions.dump())
    assert loaded.dump() == sessions.dump()
    assert told(loaded, "s1", success=True).duplicate
    assert told(loaded, "s2", success=True).updated


def test_without_weights_the_shipped_ones_are_back_and_what_was_joined_is_forgotten() -> None:
    sessions = Sessions()
    sessions.apply(1, RankerSet(tenant="t", at=0.0, weights={"origin": 1.0}, evaluation=None))
    begun(sessions, "s1", shown(1, "a"))
    told(sessions, "s1", success=True)
    assert (sessions.ranker is not None, len(sessions.joined)) == (True, 1)
    sessions.apply(3, RankerSet(tenant="t", at=2.0, weights={}, evaluation=None))
    assert (sessions.ranker, sessions.joined) == (None, [])
    assert sessions.origin("bots", "a").sessions == 1.0, "what an origin returned stays"
