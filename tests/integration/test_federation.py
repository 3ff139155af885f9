"""Installations and tenants that share what they learnt: real servers, and entries that go from one to another."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.backups import back_up, restore
from controlplane.clock import SystemClock
from controlplane.federation import MOST_ORIGINS
from controlplane.http.admission import MAX_BODY
from controlplane.rebuilding import rebuild
from strategist.federation import Entry

from ..deciding import decisions_taken_again
from .conftest import Running, chosen
from .every_route import ELSEWHERE, elsewhere
from .test_access import Keyed
from .test_archive import folded, moved, verify

Json = dict[str, Any]
ROUTE, GATE = "/v1/federation/route", "/v1/federation/gate"
PLACES = ("a/1", "b/1", "c/1")
HERE = {"context": {"region": "eu"}}


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[Running]]:
    with ExitStack() as running:
        yield [running.enter_context(Running(chosen(tmp_path / name))) for name in "abc"]


def earn(server: Running, place: str, times: int, ms: int = 20) -> None:
    """A place is taken, for it is the only one, and earns what its latency says."""
    for _ in range(times):
        server.feedback(server.route(place, **HERE)["trace_id"], latency_ms=ms)


def export(server: Running, path: str = ROUTE) -> Json:
    """What the server learnt itself."""
    entry: Json = server.get(path)["own"]
    return entry


def take(server: Running, entry: Json, status: int = 200) -> Json:
    told: Json = server.post(f"/v1/federation/{entry['point']}", {"why": "to start from", "entry": entry}, status)
    return told


def taken(server: Running) -> str | None:
    """The place it takes; None where it knows no difference."""
    answer = server.route(*PLACES, **HERE)
    return str(answer["action"]) if answer["propensity"] == 1.0 else None


def visits(entry: Json) -> dict[str, float]:
    """Of each action over all states."""
    return {action: visits for key, action, _, visits in entry["cells"] if key == ""}


def test_the_first_choice_of_an_installation_follows_what_another_one_learnt(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 30)
    assert taken(b) is None
    told = take(b, export(a))
    assert (told["imported"], told["replaced"], told["reason"]) == (True, None, None)
    answer = b.route(*PLACES, **HERE)
    assert (answer["action"], answer["propensity"], answer["explanations"]["visits"]) == ("c/1", 1.0, 30)
    ours, theirs = (server.route("c/1", **HERE)["explanations"]["q_value"] for server in (a, b))
    assert theirs == pytest.approx(ours), "as sure of it as who learnt it"
    assert b.get("/status")["points"]["route"]["imported"] == {"origins": 1, "cells": told["cells"]}


def test_the_gate_shares_too_and_the_prior_gives_way(three: list[Running]) -> None:
    """What the fixed rule would do starts at 0.8; who was told that this plan works here starts there."""
    a, b, _ = three
    plan = {"planned_action": "make ship", "goal": "ship", "tool": "bash"}
    for _ in range(40):
        a.feedback(a.post("/v1/decisions", plan)["trace_id"], success=True)
    before = b.post("/v1/decisions", plan)["explanations"]
    take(b, export(a, GATE))
    after = b.post("/v1/decisions", plan)["explanations"]
    assert (before["q_value"], before["visits"]) == (0.8, 0)
    assert (after["visits"], after["q_value"] > 0.85) == (1, True), "the one report before its risk was known"


def test_what_is_learnt_here_overrules_what_was_imported(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 120)
    take(b, export(a))
    worth = []
    for _ in range(12):
        worth.append(b.route("c/1", **HERE)["explanations"]["q_value"])
        earn(b, "c/1", 10, ms=900)
    assert all(later < earlier for earlier, later in pairwise(worth[:9]))
    assert (worth[0] > 0.3, worth[-1] < -0.3) == (True, True)
    assert b.route("c/1", **HERE)["explanations"]["visits"] == 120, "its own alone"
    earn(b, "b/1", 20)
    assert taken(b) == "b/1"


def test_around_a_ring_nothing_is_counted_twice(three: list[Running]) -> None:
    """Each exports what it learnt itself, whatever it imported; the round may be made as often as one likes."""
    for server, place in zip(three, PLACES, strict=True):
        earn(server, place, 10)
    for _ in range(3):
        for server, following in zip(three, [*three[1:], three[0]], strict=True):
            take(following, export(server))
    for server, place, earlier in zip(three, PLACES, [three[2], *three[:2]], strict=True):
        assert visits(export(server)) == {place: 10.0}
        [imported] = server.get(ROUTE)["imported"]
        assert imported["origin"] == export(earlier)["origin"]
    told = [server.route(*PLACES, **HERE)["explanations"] for server in three]
    assert {explained["visits"] for explained in told} == {10}


def test_who_hears_of_one_origin_by_two_others_hears_it_once(three: list[Running]) -> None:
    a, b, c = three
    earn(a, "a/1", 7)
    earn(b, "b/1", 5)
    take(b, export(a))
    take(c, export(a))
    take(c, export(b))
    assert c.route("a/1", **HERE)["explanations"]["visits"] == 7
    assert c.route("b/1", **HERE)["explanations"]["visits"] == 5


def test_the_same_again_and_an_older_one_change_nothing_and_say_so(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 5)
    old = export(a)
    earn(a, "c/1", 5)
    new = export(a)
    take(b, old)
    last = b.last_seq
    assert (take(b, old)["imported"], take(b, old)["reason"]) == (False, "it is imported already")
    assert b.last_seq == last
    told = take(b, new)
    assert (told["imported"], told["replaced"]) == (True, old["seq"])
    last = b.last_seq
    assert take(b, old)["reason"] == f"a newer one stands, of event {new['seq']}"
    assert (b.last_seq, b.route("c/1", **HERE)["explanations"]["visits"]) == (last, 10)


def test_an_import_that_changes_nothing_is_told_again_under_its_key(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 3)
    body = {"why": "to start from", "entry": export(a)}
    take(b, body["entry"])
    told = [b.client.post(ROUTE, json=body, headers={"Idempotency-Key": "one"}) for _ in range(3)]
    assert [answer.status_code for answer in told] == [200] * 3
    assert {answer.text for answer in told} == {told[0].text}
    assert told[0].json()["imported"] is False


def test_a_forgotten_origin_is_read_no_more_and_can_be_imported_again(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 30)
    entry = export(a)
    take(b, entry)
    assert taken(b) == "c/1"
    assert b.client.delete(f"{ROUTE}/{entry['origin']}?why=wrong").status_code == 204
    assert (b.get(ROUTE)["imported"], taken(b)) == ([], None)
    refused = b.client.delete(f"{ROUTE}/{entry['origin']}")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_origin")
    assert take(b, entry)["imported"] is True
    acts = [(act["act"], act["about"]) for act in b.get("/v1/admin/audit")][:3]
    assert acts == [(kind, entry["origin"]) for kind in ("federated", "origin_forgotten", "federated")]


async def test_what_was_imported_outlives_a_restart_and_the_journal_folds_to_it(tmp_path: Path) -> None:
    settings = chosen(tmp_path / "b", epsilon=0.3)
    with Running(chosen(tmp_path / "a")) as a, Running(settings) as b:
        earn(a, "c/1", 30)
        take(b, export(a))
        earn(b, "c/1", 5, ms=300)
        for _ in range(20):
            b.feedback(b.route(*PLACES, **HERE)["trace_id"], latency_ms=120)
        before = b.get(ROUTE)
        assert (before["imported"][0]["why"], before["imported"][0]["by"]) == ("to start from", "")
    with Running(settings) as b:
        after = b.get(ROUTE)
        assert (after["imported"], after["own"]["cells"]) == (before["imported"], before["own"]["cells"])
        assert after["own"]["origin"] == before["own"]["origin"]
        b.feedback(b.route(*PLACES, **HERE)["trace_id"], latency_ms=120)
    assert (await rebuild(settings, verify=True, progress=lambda n, of: None)).differences == []
    assert await decisions_taken_again(tmp_path / "b" / "journal.db") == 26


def test_a_restore_goes_back_to_what_was_imported_then(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "b/1", 30)
    first = export(a)
    take(b, first)
    kept = b.post("/v1/checkpoints", {}, 201)["checkpoint_id"]
    earn(a, "c/1", 90, ms=0)
    take(b, export(a))
    take(b, elsewhere(export(a), 1)["entry"])
    assert taken(b) == "c/1"
    assert b.post(f"/v1/checkpoints/{kept}/restore")["unlearnt_events"] == 3, "a decision and two imports"
    [imported] = b.get(ROUTE)["imported"]
    assert (imported["sha256"], taken(b)) == (first["sha256"], "b/1")


async def test_a_backup_holds_what_was_imported(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "a")) as a, Running(chosen(tmp_path / "b")) as b:
        earn(a, "c/1", 30)
        take(b, export(a))
        back_up(tmp_path / "b", tmp_path / "backup", SystemClock(), lambda done, of: None)
        imported = b.get(ROUTE)["imported"]
    restore(tmp_path / "backup", tmp_path / "again", lambda done, of: None)
    with Running(chosen(tmp_path / "again")) as again:
        assert again.get(ROUTE)["imported"] == imported
        assert taken(again) == "c/1"


def test_what_was_imported_outlives_an_archive_and_a_restore_behind_it(tmp_path: Path) -> None:
    """The base has it, though no recovery file is left, and so has the place that a checkpoint names."""
    folder = tmp_path / "b"
    with Running(chosen(tmp_path / "a")) as a, Running(chosen(folder)) as b:
        earn(a, "b/1", 30)
        first = export(a)
        take(b, first)
        kept = b.post("/v1/checkpoints", {}, 201)["checkpoint_id"]
        earn(a, "c/1", 90, ms=0)
        take(b, export(a))
        earn(b, "a/1", 5)
        imported = b.get(ROUTE)["imported"]
    before = folded(folder)
    assert moved(folder, keep=1).events > 0
    assert folded(folder) == before
    shutil.rmtree(folder / "recovery")
    with Running(chosen(folder)) as b:
        assert (b.get(ROUTE)["imported"], taken(b)) == (imported, "c/1")
        b.post(f"/v1/checkpoints/{kept}/restore")
        assert ([one["sha256"] for one in b.get(ROUTE)["imported"]], taken(b)) == ([first["sha256"]], "b/1")
    assert verify(folder) == []


def test_nothing_of_a_text_and_nothing_of_a_callers_own_leaves(serve: Any) -> None:
    """What leaves are the spec's own features and the names of actions."""
    server, secret = serve(), "zanzibar"
    for n in range(6):
        plan = {"goal": f"{secret} {n}", "planned_action": f"deploy {secret}", "environment": {"host": secret}}
        own = {"context": {"customer": secret, f"{secret}": 7, "region": "eu"}, "goal": f"route {secret}"}
        for asked in (plan, {**own, "candidates": [{"provider": "a", "sku": "1"}]}):
            trace_id = server.post("/v1/decisions", asked)["trace_id"]
            server.feedback(trace_id, success=n % 2 == 0, latency_ms=20)
            server.capture(**plan, error_trace=f"Error: {secret}", trace_id=trace_id)
    whole = [export(server, path) for path in (ROUTE, GATE)]
    keys = {key for entry in whole for key, *_ in entry["cells"]}
    learnt = server.service.learner.state.of("default").policies
    held = {key for policy in learnt.values() for key, *_ in policy.table.cells()}
    assert secret not in json.dumps(whole)
    assert secret in "".join(held), "there was something to keep"
    assert {key.partition("/")[0] for key in held - keys} == {"own:customer", f"own:{secret}", "own", "text", "action"}
    assert {"place", "all", "match", "cases", "action", "task", "text", ""} == {k.partition("/")[0] for k in keys}
    assert [key for key in keys if "hashing" in key] == [], "no text's code"


def test_tenants_are_origins_of_their_own_and_none_takes_back_what_it_learnt_itself(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        keyed = Keyed(running)
        for tenant in ("acme", "zeta"):
            keyed.operate("POST", "/v1/admin/tenants", {"tenant": tenant, "tier": "pro"})
        acme, zeta = (keyed.issue(tenant=tenant)["key"] for tenant in ("acme", "zeta"))
        agent = keyed.issue(tenant="acme", scopes=["decide", "feedback", "capture", "read"])["key"]
        place = {"candidates": [{"provider": "a", "sku": "1"}]}
        trace_id = keyed.with_key(acme, "POST", "/v1/decisions", place).json()["trace_id"]
        keyed.with_key(acme, "POST", "/v1/feedback", {"trace_id": trace_id, "outcome": {"latency_ms": 20}})
        entry = keyed.with_key(acme, "GET", ROUTE).json()["own"]
        body = {"why": "shared", "entry": entry}
        back = keyed.with_key(acme, "POST", ROUTE, body)
        assert (back.status_code, back.json()["code"]) == (409, "conflict")
        assert "counted twice" in back.json()["detail"]
        for method, path in (("GET", ROUTE), ("POST", ROUTE), ("DELETE", f"{ROUTE}/{entry['origin']}")):
            assert keyed.with_key(agent, method, path, body if method == "POST" else None).status_code == 403
        assert keyed.with_key(zeta, "POST", ROUTE, body).json()["imported"] is True
        theirs = keyed.with_key(zeta, "GET", ROUTE).json()
        assert (theirs["own"]["cells"], [one["origin"] for one in theirs["imported"]]) == ([], [entry["origin"]])
        assert theirs["own"]["origin"] != entry["origin"]
        assert keyed.with_key(acme, "GET", ROUTE).json()["imported"] == []


def test_however_much_was_learnt_an_export_is_small_enough_to_be_imported(three: list[Running]) -> None:
    a, b, _ = three
    table = a.service.learner.state.of("default").policies["route"].table
    for n in range(9000):
        table.put(f"all//{'r' * 30}-{n}/2/3/4", f"{'p' * 40}/{n % 7}", 0.25, visits=1 + n % 50)
    table.put("all/", "c/1", 0.5, visits=9000)
    told = a.get(ROUTE)
    cells = told["own"]["cells"]
    assert told["left_out"] + len(cells) == 9001
    assert min(cell[3] for cell in cells) > 30.0, "the least visited stay"
    assert ["all/", "c/1", 0.5, 99.0] in cells
    body = json.dumps({"why": "w" * 512, "entry": told["own"]})
    assert 150_000 < len(body) < MAX_BODY
    assert take(b, told["own"])["cells"] == len(cells)


def test_no_more_origins_are_imported_than_there_is_room_for(three: list[Running]) -> None:
    a, b, _ = three
    earn(a, "c/1", 1)
    entry = msgspec.convert(export(a), Entry)
    others = [msgspec.structs.replace(entry, origin=f"or_{n:032x}").sealed() for n in range(MOST_ORIGINS + 1)]
    for other in others[:-1]:
        take(b, msgspec.to_builtins(other))
    assert "forget one first" in take(b, msgspec.to_builtins(others[-1]), 409)["detail"]
    newer = msgspec.structs.replace(others[0], seq=entry.seq + 1).sealed()
    assert take(b, msgspec.to_builtins(newer))["imported"] is True


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Json]]:
    """A server, and an entry that it would take."""
    with Running(chosen(tmp_path_factory.mktemp("data"))) as server:
        earn(server, "c/1", 3)
        yield server, elsewhere(export(server), 5)["entry"]


def sealed(entry: Json) -> Json:
    """With the digest of what it holds, as its origin could have made it."""
    return {**entry, "sha256": msgspec.convert(entry, Entry).digest}


CELL, LARGE = ["all/", "c/1", 0.5, 3.0], ["all/", "c/1", 1e4, 3.0]
BAD: dict[str, tuple[Json, int, str, str]] = {
    "of another spec": ({"spec_hash": "abc"}, 409, "spec_changed", "under feature spec abc; here it is "),
    "of other rewards": ({"weights": {"latency": 1.0}}, 409, "conflict", "cost, failures, latency, slo, success weigh"),
    "of another point": ({"point": "gate"}, 422, "unprocessable", "was learnt at gate, not at route"),
    "a value too large": ({"cells": [["all/", "b/1", 0.1, 1.0], LARGE]}, 422, "unprocessable", "cells[1]"),
    "the same cell twice": ({"cells": [CELL, CELL]}, 422, "unprocessable", "cells[1] is not behind the one before it"),
    "out of order": ({"cells": [CELL, ["", *CELL[1:]]]}, 422, "unprocessable", "cells[1]"),
    "about a text": ({"cells": [CELL, ["text/h:01", *CELL[1:]]]}, 422, "unprocessable", "cells[1] is about a text"),
    "about a caller's own": ({"cells": [["own:x/gold", *CELL[1:]]]}, 422, "unprocessable", "cells[0] is about a text"),
}  # fmt: skip


def refused(server: Running, entry: Any, status: int, code: str) -> str:
    """Why it is refused; nothing of it is there."""
    last = server.last_seq
    answer = server.client.post(ROUTE, json={"why": "x", "entry": entry})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (server.last_seq, server.get(ROUTE)["imported"]) == (last, [])
    return str(answer.json())


@pytest.mark.parametrize("name", BAD)
def test_an_entry_that_cannot_be_meant_is_refused_whole_and_says_which_cell(
    pair: tuple[Running, Json], name: str
) -> None:
    (server, entry), (change, status, code, says) = pair, BAD[name]
    assert says in refused(server, sealed({**entry, **change}), status, code)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        (["all/", "c/1", None, 3.0], "cells[0][2]"),
        (["all/", "c/1", 0.5, 0.0], "Expected `float` >= 1.0"),
        (["all/", "c/1", 0.5, -1.0], "Expected `float` >= 1.0"),
        (["all/", "c/1", 0.5, 1e7], "Expected `float` <= 1000000.0"),
        (["all/", "", 0.5, 3.0], "Expected `str` of length >= 1"),
        (["k" * 513, "c/1", 0.5, 3.0], "Expected `str` of length <= 512"),
        (["all/", "c/1", 0.5], "cells[0]"),
    ],
)
def test_a_cell_out_of_bounds_is_refused_with_its_place(pair: tuple[Running, Json], cell: list[Any], says: str) -> None:
    server, entry = pair
    assert says in refused(server, {**entry, "cells": [cell]}, 400, "invalid_request")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_value_that_is_no_number_is_refused(pair: tuple[Running, Json], number: str) -> None:
    server, entry = pair
    body = json.dumps({"why": "x", "entry": {**entry, "cells": [CELL]}}).replace("0.5", number)
    answer = server.client.post(ROUTE, content=body.encode(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert server.get(ROUTE)["imported"] == []


def test_an_entry_that_was_changed_on_its_way_is_refused(pair: tuple[Running, Json]) -> None:
    server, entry = pair
    changed = {**entry, "cells": [[*cell[:2], 0.9, cell[3]] for cell in entry["cells"]]}
    assert "is not what was exported" in refused(server, changed, 422, "unprocessable")


def test_two_entries_of_one_number_are_two_folders_that_are_one_origin(tmp_path: Path) -> None:
    """Neither is taken for the newer one, and the operator hears of it."""
    with Running(chosen(tmp_path / "data")) as server:
        earn(server, "c/1", 3)
        entry = elsewhere(export(server), 5)["entry"]
        take(server, entry)
        twin = sealed({**entry, "cells": entry["cells"][:1]})
        assert "two data folders are one origin" in take(server, twin, 409)["detail"]
        [imported] = server.get(ROUTE)["imported"]
        assert (imported["sha256"], imported["origin"]) == (entry["sha256"], ELSEWHERE)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_point_that_is_not_there_is_unknown(pair: tuple[Running, Json], method: str) -> None:
    server, entry = pair
    path = "/v1/federation/nowhere" + (f"/{entry['origin']}" if method == "DELETE" else "")
    body = {"why": "x", "entry": entry} if method == "POST" else None
    answer = server.client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_point")
