"""Memories that are carried to another tenant: as claims, with where they come from, embedded anew, each once."""

from typing import Any

import pytest

from controlplane.contract import MAX_TEXT, MAX_TRACE
from controlplane.contract.carrying import MOST_CARRIED
from controlplane.http.admission import MAX_DEPTH, MAX_LARGE

from .conftest import Serve
from .test_hygiene import LIE, TRUTH, Yard

Json = dict[str, Any]


@pytest.fixture
def yard(serve: Serve) -> Yard:
    return Yard(serve(insecure_local=False))


def abroad(yard: Yard) -> Json:
    """A key of another tenant."""
    yard.operate("POST", "tenants", {"tenant": "zeta", "tier": "local"})
    made: Json = yard.operate("POST", "keys", {"tenant": "zeta"})
    return made


def exported(yard: Yard, key: Json) -> list[Json]:
    """Page by page."""
    episodes: list[Json] = []
    following: int | None = 0
    while following is not None:
        page = yard.ask(key, "GET", f"memory?after={following}")
        episodes += page["episodes"]
        assert page["total"] >= len(episodes)
        following = page["next"]
    return episodes


def test_what_is_carried_is_a_claim_of_whoever_takes_it_in(yard: Yard) -> None:
    key, other = yard.key(), abroad(yard)
    episode = yard.capture(key, **TRUTH, license="MIT", task_id="mine", custom={"k": 1})
    yard.skill(key, episode)
    [carried] = exported(yard, key)
    assert not any(secret in str(carried) for secret in (key["key_id"], "acme", "vector", "mine"))
    assert carried["provenance"]["skill"] == "trial"
    answer = yard.ask(other, "POST", "memory", {"episodes": [carried]})
    [taken] = answer["episode_ids"]
    shown = yard.ask(other, "GET", f"episodes/{taken}")
    assert (shown["validations"], shown["skill_id"]) == (0, None), "it is not proven here"
    assert yard.ask(other, "GET", "skills") == []
    assert shown["episode"]["provenance"] == carried["provenance"]
    assert (shown["episode"]["license"], shown["episode"]["custom"]) == ("MIT", {"k": 1})
    at = yard.ask(key, "GET", f"episodes/{episode}")["captured_at"]
    said = {"episode_id": episode, "captured_at": at, "repeats": 0, "successes": 3, "failures": 0, "skill": "trial"}
    assert carried["provenance"].items() >= said.items()
    assert yard.found(other) == {taken}, "it was embedded anew"
    assert exported(yard, other)[0]["provenance"] == carried["provenance"], "it stays known where it comes from"
    assert yard.ask(other, "POST", "memory", {"episodes": [carried]}) == {"episode_ids": [], "duplicates": 1}
    assert yard.ask(other, "GET", f"episodes/{taken}")["repeats"] == 0


def test_pages_hold_everything_once_and_nothing_that_is_quarantined(yard: Yard) -> None:
    liar, honest, other = yard.key(), yard.key(), abroad(yard)
    yard.capture(liar, **LIE)
    long = [yard.capture(honest, goal=f"build {n}", error_trace=f"{n} " + "x " * 30_000) for n in range(5)]
    short = [yard.capture(honest, goal=f"make {n}") for n in range(MOST_CARRIED + 5)]
    yard.quarantine(liar)
    episodes = exported(yard, honest)
    assert [of["provenance"]["episode_id"] for of in episodes] == [*long, *short]
    pages = [episodes[:3], episodes[3:5], episodes[5 : 5 + MOST_CARRIED], episodes[4 + MOST_CARRIED :]]
    told = [yard.ask(other, "POST", "memory", {"episodes": page}) for page in pages]
    assert sum(len(of["episode_ids"]) for of in told) == len(episodes)
    assert [of["duplicates"] for of in told] == [0, 0, 0, 1]
    assert yard.ask(other, "POST", "memory", {"episodes": episodes[5 : 6 + MOST_CARRIED]}, 400)


def test_what_one_exported_oneself_is_known_whatever_was_read_off_it(yard: Yard) -> None:
    """Conditions that a trace states are in an export though nobody stated them; images are not."""
    key, other = yard.key(), abroad(yard)
    said = {"goal": "build", "error_trace": "Python 3.11.4\nzsh: command not found: passwd"}
    yard.capture(key, **said)
    yard.capture(key, **said, environment={"os": "Linux"})
    yard.capture(key, **said, preconditions={"python": "3.9"})
    [first, *others] = exported(yard, key)
    assert first["episode"]["preconditions"].keys() == {"python", "passwd"}
    assert [of["episode"].get("preconditions", {}) for of in others] == [{}, {"python": "3.9"}]
    assert yard.ask(key, "POST", "memory", {"episodes": [first, *others]}) == {"episode_ids": [], "duplicates": 3}
    yard.capture(other, **said)
    told = yard.ask(other, "POST", "memory", {"episodes": [first, *others]})
    assert (len(told["episode_ids"]), told["duplicates"]) == (2, 1)
    again = yard.capture(other, **said)
    assert yard.ask(other, "GET", f"episodes/{again}")["repeats"] == 1


def test_whatever_was_captured_can_be_taken_in(yard: Yard) -> None:
    """As large and as deep as a capture may be, and where redaction made a text longer than it may come."""
    key, other = yard.key(), abroad(yard)
    deep: Json = {}
    for _ in range(MAX_DEPTH - 2):
        deep = {"in": deep}
    yard.capture(key, goal="large", custom={str(n): "x" * MAX_TEXT for n in range(MAX_LARGE // 2 // MAX_TEXT)})
    yard.capture(key, goal="deep", custom=deep)
    grown = "token=a " * (MAX_TEXT // 8)
    yard.capture(
        key, goal=grown, error_trace=grown * (MAX_TRACE // MAX_TEXT), tags=["pw token=a " * 23], custom={"said": grown}
    )
    for carried in exported(yard, key):
        answer = yard.ask(other, "POST", "memory", {"episodes": [carried]})
        assert len(answer["episode_ids"]) == 1, carried["episode"]["goal"][:8]
        assert yard.ask(other, "POST", "memory", {"episodes": [carried]})["duplicates"] == 1
    assert [of["episode"] for of in exported(yard, other)] == [of["episode"] for of in exported(yard, key)]
    too_deep = {"episodes": [{"episode": {"goal": "x", "custom": {"in": deep}}, "provenance": carried["provenance"]}]}
    assert "nested deeper" in yard.ask(other, "POST", "memory", too_deep, 400)["detail"]


def test_what_is_taken_in_loses_secrets_and_people_as_a_capture_does(yard: Yard) -> None:
    came = {"origin": "or_x", "key": "k", "episode_id": 1, "captured_at": 1.0}
    key = yard.key()
    carried = {"episode": {"goal": "ask ann@acme.org", "error_trace": "password=hunter2"}, "provenance": came}
    [taken] = yard.ask(key, "POST", "memory", {"episodes": [carried]})["episode_ids"]
    episode = yard.ask(key, "GET", f"episodes/{taken}")["episode"]
    assert (episode["goal"], episode["error_trace"]) == ("ask [mail]", "password=***")
    assert (
        yard.ask(key, "POST", "memory", {"episodes": [{**carried, "trusted": True}]}, 400)["code"] == "invalid_request"
    )
