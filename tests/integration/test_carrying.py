"""Memories that are carried to another tenant: as claims, with where they come from, embedded anew, each once."""

from typing import Any

import pytest

from controlplane.contract.carrying import MOST_CARRIED

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


def test_what_is_as_large_as_a_capture_may_be_is_carried(yard: Yard) -> None:
    key, other = yard.key(), abroad(yard)
    episode = yard.capture(key, goal="large", custom={f"part {n}": "x" * 8000 for n in range(40)})
    [carried] = [one for one in exported(yard, key) if one["provenance"]["episode_id"] == episode]
    assert yard.ask(other, "POST", "memory", {"episodes": [carried]})["duplicates"] == 0


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
