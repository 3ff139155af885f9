"""News of memory: told as it happens, to the tenant it is of, from where a listener left, and never a text."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from controlplane.news import KINDS, MOST_LISTENERS, QUEUED, Bus, News

from .conftest import Running, Serve, chosen
from .test_hygiene import LIE, TRUTH, Yard

STREAM = {"Accept": "text/event-stream"}
Told = tuple[str, str, Any]  # id, kind, data


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with Running(chosen(tmp_path_factory.mktemp("data"), insecure_local=False)) as server:
        yield Yard(server)


def events(text: str) -> list[Told]:
    """What a stream said, without its comments."""
    told = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if fields:
            told.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
    return told


def since(yard: Yard, key: Any, last: str, query: str = "") -> list[Told]:
    headers = {"X-API-Key": key["key"], "Last-Event-ID": last}
    answer = yard.server.client.get(f"/v1/events{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    return events(answer.text)


def kinds_of(told: list[Told]) -> list[str]:
    return [kind for _, kind, _ in told]


def test_what_happens_to_memory_is_told_once_in_order_and_without_a_text(yard: Yard) -> None:
    key = yard.key()
    begun = f"{yard.server.service.journal.last_seq}.0"
    episode = yard.capture(key, **LIE)
    yard.capture(key, **LIE)
    yard.skill(key, episode)
    [skill] = yard.ask(key, "GET", "skills")
    yard.ask(key, "POST", f"skills/{skill['skill_id']}/retire", {"reason": "zzcanary"})
    held = yard.quarantine(key)
    yard.operate("DELETE", f"quarantine/{held['quarantine_id']}")
    yard.operate("POST", "purge", {"key_id": key["key_id"]})
    told = since(yard, key, begun)
    assert kinds_of(told) == [
        "captured", "captured", "promoted", "demoted", "quarantined", "quarantine_lifted", "purged",
    ]  # fmt: skip
    assert [data["repeats"] for _, kind, data in told if kind == "captured"] == [None, episode]
    about = {"skill_id": skill["skill_id"], "episode_id": episode}
    assert all(data.items() >= about.items() for _, kind, data in told if kind in ("promoted", "demoted"))
    assert not any(word in str(told) for word in ("zzcanary", "evil", "shop", "it lies"))
    assert len({place for place, _, _ in told}) == len(told)
    assert since(yard, key, told[2][0]) == told[3:], "a listener goes on from what it knows"
    assert kinds_of(since(yard, key, begun, "?kinds=purged,demoted")) == ["demoted", "purged"]
    assert since(yard, {"key": yard.server.service.first_keys.tenant}, begun) == [], "another tenant hears nothing"


def test_a_swing_says_what_kind_of_memory_it_is_about(serve: Serve) -> None:
    """Of a patch that every session fails without, in which it is withheld now and then."""
    server = serve(withheld_share=0.2)
    kept = {"documents": [{"key": "p", "kind": "patch", "text": "retry the flaky upload with a pause"}]}
    server.post("/v1/documents", kept)
    ids = set[str]()
    for _ in range(40):
        session = server.post("/v1/patches/search", {"query": "retry the flaky upload"})
        ids |= {str(result["memory_id"]) for result in session["results"]}
        server.post(f"/v1/sessions/{session['session_id']}/outcome", {"success": bool(session["results"])})
    answer = server.client.get("/v1/events?kinds=swung", headers={"Last-Event-ID": "1.0"})
    swung = [data for _, _, data in events(answer.text)]
    assert {data["what"] for data in swung} == {"patch", "origin"}
    assert {data["name"] for data in swung if data["what"] == "patch"} == ids


def test_a_stream_tells_what_comes_as_it_comes(yard: Yard) -> None:
    key = yard.key()
    with yard.server.client.stream("GET", "/v1/events", headers={"X-API-Key": key["key"], **STREAM}) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        parts = answer.iter_text()
        assert next(parts).startswith(": ")
        episode = yard.capture(key, **TRUTH, namespace="stream")
        [(place, kind, data)] = events(next(parts))
    assert (kind, data["episode_id"], place) == ("captured", episode, f"{episode}.0")
    yard.server.until(lambda: not any(yard.server.service.news._listeners.values()))


def test_a_listener_that_asks_for_what_there_is_not_is_told(yard: Yard) -> None:
    key = yard.key()
    headers = {"X-API-Key": key["key"]}
    refused = yard.server.client.get("/v1/events?kinds=gossip", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    for last in ("what", "9" * 99 + ".1"):
        assert since(yard, key, last) == [("", "missed", {"lost": None})]
    listeners = [yard.server.service.news.listen("acme", frozenset()) for _ in range(MOST_LISTENERS)]
    full = yard.server.client.get("/v1/events", headers=headers)
    assert (full.status_code, full.json()["code"]) == (503, "overloaded")
    for listener in listeners:
        yard.server.service.news.leave("acme", listener)


def test_news_is_told_again_after_a_restart_or_it_is_said_that_some_is_missed(serve: Serve) -> None:
    yard = Yard(serve(insecure_local=False))
    key = yard.key()
    first = yard.capture(key, **LIE)
    yard.server.stop()
    yard.server = serve(insecure_local=False)
    then = yard.capture(key, **TRUTH)
    assert since(yard, key, f"{first - 2}.0")[0] == ("", "missed", {"lost": None})
    assert [data["episode_id"] for _, _, data in since(yard, key, f"{then - 1}.0")] == [then]


def test_a_slow_listener_loses_the_oldest_and_is_told_how_many() -> None:
    bus = Bus()
    slow, quick = bus.listen("acme", frozenset(KINDS)), bus.listen("acme", frozenset({"purged"}))
    for seq in range(1, QUEUED + 8):
        slow.hear(news := News(place=(seq, 0), tenant="acme", at=1.0, kind="captured", details={}))
        quick.hear(news)
    lost, taken = slow.take()
    assert (lost, taken[0].id, len(taken)) == (7, "8.0", QUEUED)
    assert slow.take() == (0, [])
    assert quick.take() == (0, [])


def test_a_server_that_stops_ends_its_streams(serve: Serve) -> None:
    server = serve()
    with server.client.stream("GET", "/v1/events", headers=STREAM) as answer:
        parts = answer.iter_text()
        next(parts)
        server.run(server.service.news.close())
        assert "".join(parts).startswith(": nothing new")
