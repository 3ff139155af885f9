"""Checkpoints over HTTP: what was learnt can be kept, and gone back to, and a restore is an event like any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.events import Configured, Recorded

Server = Any
Serve = Callable[..., Any]
GOOD, BAD = {"latency_ms": 10, "failures": 0}, {"latency_ms": 900, "failures": 3}
HERE = {"context": {"region": "us"}}


def values(server: Server) -> bytes:
    """The learnt state of the one tenant, as bytes, once everything that was answered is in it."""
    server.until(lambda: server.get("/status")["journal"]["learner_lag"] == 0)
    dump: bytes = server.service.learner.state.dump_tenant("default")
    return dump


def learn(server: Server, times: int, **outcome: Any) -> None:
    for _ in range(times):
        server.feedback(server.route("a/1", "b/2", **HERE)["trace_id"], **outcome)


def test_a_checkpoint_is_listed_with_what_it_holds(serve: Serve) -> None:
    server = serve()
    learn(server, 3, **GOOD)
    seq = server.last_seq
    created = server.post("/v1/checkpoints", {"name": "before the change"}, 201)
    assert (created["name"], created["seq"]) == ("before the change", seq)
    assert created["size_bytes"] > 0
    assert created["checkpoint_id"].startswith("cp_")
    later = server.post("/v1/checkpoints", None, 201)
    assert server.get("/v1/checkpoints")[-1] == created or later["checkpoint_id"] == created["checkpoint_id"]


def test_a_restore_brings_back_exactly_what_was_learnt(serve: Serve) -> None:
    server = serve()
    learn(server, 4, **GOOD)
    before, answer_before = values(server), server.route("a/1", "b/2", **HERE)
    server.feedback(answer_before["trace_id"], executed=False)
    kept, created = values(server), server.post("/v1/checkpoints", {"name": "good"}, 201)
    assert before != kept, "a decision was counted meanwhile"
    learn(server, 6, **BAD)
    assert server.route("a/1", "b/2", **HERE)["score"] != answer_before["score"]
    restored = server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
    assert values(server) == kept
    assert restored["restored_to"] == created["seq"]
    again = server.route("a/1", "b/2", **HERE)
    assert (again["action"], again["score"]) == (answer_before["action"], answer_before["score"])


def test_a_restore_says_how_many_events_are_no_longer_learnt(serve: Serve) -> None:
    server = serve()
    learn(server, 2, **GOOD)
    created = server.post("/v1/checkpoints", {}, 201)
    path = f"/v1/checkpoints/{created['checkpoint_id']}/restore"
    assert server.post(path)["unlearnt_events"] == 0, "nothing happened since"
    learn(server, 5, **BAD)  # a decision and a report each
    restored = server.post(path)
    assert restored["unlearnt_events"] == 10
    assert restored["policy_version"] == server.last_seq
    assert server.post(path)["unlearnt_events"] == 0, "they were set aside before"
    learn(server, 1, **BAD)
    assert server.post(path)["unlearnt_events"] == 2


def test_a_decision_open_at_the_checkpoint_can_be_reported_on_again(serve: Serve) -> None:
    server = serve()
    decided = server.route("a/1", **HERE)
    created = server.post("/v1/checkpoints", {}, 201)
    first = server.feedback(decided["trace_id"], **GOOD)
    server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
    again = server.feedback(decided["trace_id"], **GOOD)
    assert (again["updated"], again["reward"]) == (True, first["reward"])
    assert server.get("/status")["model"]["updates"] == 1


def test_a_checkpoint_holds_every_decision_that_was_answered_before_it(serve: Serve) -> None:
    server = serve()
    for _ in range(10):
        traces = [server.route("a/1", "b/2", **HERE)["trace_id"] for _ in range(3)]
        created = server.post("/v1/checkpoints", {}, 201)
        server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
        for trace_id in traces:
            assert server.feedback(trace_id, **GOOD)["updated"] is True


def test_a_decision_made_after_the_checkpoint_is_no_longer_learnt_from(serve: Serve) -> None:
    server = serve()
    created = server.post("/v1/checkpoints", {}, 201)
    decided = server.route("a/1", **HERE)
    server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
    answer = server.feedback(decided["trace_id"], **GOOD)
    assert answer["updated"] is False
    assert "restore" in answer["reason"]
    assert server.get("/status")["model"]["updates"] == 0


def test_what_was_learnt_after_the_checkpoint_is_shown_as_unlearnt(serve: Serve) -> None:
    server = serve()
    early = server.post("/v1/checkpoints", {"name": "early"}, 201)["checkpoint_id"]
    decided = server.route("a/1", **HERE)["trace_id"]
    server.feedback(decided, **GOOD)
    late = server.post("/v1/checkpoints", {"name": "late"}, 201)["checkpoint_id"]
    assert server.get(f"/v1/decisions/{decided}")["update"] is not None

    server.post(f"/v1/checkpoints/{early}/restore")
    assert server.get(f"/v1/decisions/{decided}")["update"] is None
    again = server.feedback(decided, **GOOD)
    assert (again["updated"], again["duplicate"]) == (False, False)
    assert "unlearnt by a restore" in again["reason"]

    server.post(f"/v1/checkpoints/{late}/restore")
    assert server.get(f"/v1/decisions/{decided}")["update"] is not None
    assert server.feedback(decided, **GOOD)["duplicate"] is True


def test_a_comparison_shows_where_another_action_is_preferred_and_how_much_is_known_there(serve: Serve) -> None:
    server = serve()
    learn(server, 2, **GOOD)
    before = server.post("/v1/checkpoints", {"name": "before"}, 201)["checkpoint_id"]
    preferred = server.route("a/1", "b/2", **HERE)["action"]
    other = ({"a/1", "b/2"} - {preferred}).pop()
    assert server.get(f"/v1/checkpoints/{before}/diff/now")["states"] == []
    for _ in range(6):
        decided = server.route("a/1", "b/2", **HERE)
        server.feedback(decided["trace_id"], **(GOOD if decided["action"] == other else BAD))

    found = server.get(f"/v1/checkpoints/{before}/diff/now")
    assert (found["before"], found["after"], found["changed"]) == (before, "now", len(found["states"]))
    coarsest = next(state for state in found["states"] if state["state"] == "place//us")
    assert (coarsest["point"], coarsest["before"]["action"], coarsest["after"]["action"]) == ("route", preferred, other)
    assert (coarsest["before"]["visits"], coarsest["after"]["visits"]) == (2, 8)
    assert coarsest["after"]["values"][preferred] < coarsest["before"]["values"][preferred]
    cell = server.service.learner.state.of("default").policies["route"].table.rows["place//us"]
    assert coarsest["after"]["values"] == {action: known.value for action, known in cell.items()}

    after = server.post("/v1/checkpoints", {"name": "after"}, 201)["checkpoint_id"]
    assert server.get(f"/v1/checkpoints/{before}/diff/{after}")["states"] == found["states"]
    back = server.get(f"/v1/checkpoints/{after}/diff/{before}")
    assert {s["state"]: (s["before"], s["after"]) for s in back["states"]} == {
        s["state"]: (s["after"], s["before"]) for s in found["states"]
    }


def test_a_checkpoint_of_another_feature_spec_is_not_compared(serve: Serve) -> None:
    server = serve()
    learn(server, 1, **GOOD)
    old = server.post("/v1/checkpoints", {}, 201)["checkpoint_id"]
    rules = server.service.rules
    changed = msgspec.structs.replace(rules.points["route"], spec_hash="of a later version")
    points = {**rules.points, "route": changed}
    later = Configured(tenant="", at=1.0, rules=msgspec.structs.replace(rules, points=points), settings_hash="another")
    server.service.learner.state.apply(Recorded(server.last_seq, later))
    refused = server.get(f"/v1/checkpoints/{old}/diff/now", 409)
    assert refused["code"] == "spec_changed"


def kept(server: Server, count: int) -> list[str]:
    """So many checkpoints of different content, oldest first."""
    made = []
    for number in range(count):
        learn(server, 1, **GOOD)
        made.append(server.post("/v1/checkpoints", {"name": str(number)}, 201)["checkpoint_id"])
    return made


def files(server: Server) -> set[str]:
    return {path.stem for path in (Path(server.settings.data_dir) / "checkpoints").iterdir()}


def test_pruning_keeps_the_newest_and_what_a_restore_names_and_says_what_it_freed(serve: Serve) -> None:
    server = serve()
    first, second, third, fourth, fifth = kept(server, 5)
    server.post(f"/v1/checkpoints/{second}/restore")
    folder = Path(server.settings.data_dir) / "checkpoints"
    size = sum((folder / f"{checkpoint_id}.fold").stat().st_size for checkpoint_id in (first, third))

    assert server.post("/v1/checkpoints/prune", {"keep": 2}) == {"pruned": [first, third], "freed_bytes": size}
    assert [c["checkpoint_id"] for c in server.get("/v1/checkpoints")] == [fifth, fourth, second]
    assert files(server) == {second, fourth, fifth}
    for path in (f"{first}/restore", f"{third}/restore"):
        assert server.post(f"/v1/checkpoints/{path}", None, 404)["code"] == "unknown_checkpoint"
    assert server.post("/v1/checkpoints/prune", {"keep": 2}) == {"pruned": [], "freed_bytes": 0}
    learnt = values(server)
    server.stop()
    again = serve()
    assert [c["checkpoint_id"] for c in again.get("/v1/checkpoints")] == [fifth, fourth, second]
    assert values(again) == learnt
    again.post(f"/v1/checkpoints/{fourth}/restore")


def test_the_content_of_a_pruned_checkpoint_can_be_kept_anew(serve: Serve) -> None:
    server = serve()
    first, second, third = kept(server, 3)
    assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == [first, second]
    server.post(f"/v1/checkpoints/{third}/restore")
    learn(server, 1, **GOOD)
    [fourth] = kept(server, 1)
    assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == []
    server.post(f"/v1/checkpoints/{third}/restore")
    server.post("/v1/checkpoints", {"name": "newest"}, 201)
    assert server.post("/v1/checkpoints/prune", {"keep": 1})["pruned"] == [fourth]
    server.post(f"/v1/checkpoints/{third}/restore")
    learn(server, 1, **GOOD)
    assert kept(server, 1) == [fourth], "the same was learnt again"
    assert files(server) == {third, fourth}
    server.post(f"/v1/checkpoints/{fourth}/restore")


def test_a_file_that_cannot_be_deleted_is_told_and_the_next_pruning_tries_again(serve: Serve) -> None:
    server = serve()
    one, other = kept(server, 2)
    file = Path(server.settings.data_dir) / "checkpoints" / f"{one}.fold"
    file.unlink()
    file.mkdir()  # no file: what deletes files cannot delete it, whoever runs this
    refused = server.post("/v1/checkpoints/prune", {"keep": 1}, 503)
    assert (refused["code"], "prune again" in refused["detail"]) == ("unavailable", True)
    file.rmdir()
    file.write_bytes(b"left")
    server.post("/v1/checkpoints/prune", {"keep": 1})
    assert files(server) == {other}


def test_a_restore_survives_a_restart(serve: Serve) -> None:
    server = serve()
    learn(server, 3, **GOOD)
    created = server.post("/v1/checkpoints", {}, 201)
    kept = values(server)
    learn(server, 3, **BAD)
    server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
    server.stop()
    again = serve()
    assert values(again) == kept
    assert [c["checkpoint_id"] for c in again.get("/v1/checkpoints")] == [created["checkpoint_id"]]


@pytest.mark.parametrize("harm", ["flipped", "cut", "zeroed", "removed", "exchanged"])
def test_a_damaged_checkpoint_is_folded_again_from_the_journal(serve: Serve, harm: str) -> None:
    server = serve()
    learn(server, 2, **BAD)
    other = server.post("/v1/checkpoints", {"name": "other"}, 201)
    learn(server, 3, **GOOD)
    created, kept = server.post("/v1/checkpoints", {"name": "wanted"}, 201), values(server)
    learn(server, 3, **BAD)
    folder = Path(server.settings.data_dir) / "checkpoints"
    file = folder / f"{created['checkpoint_id']}.fold"
    content = bytearray(file.read_bytes())
    match harm:
        case "flipped":
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
        case "cut":
            file.write_bytes(content[:-1])
        case "zeroed":
            file.write_bytes(bytes(len(content)))
        case "removed":
            file.unlink()
        case "exchanged":
            file.write_bytes((folder / f"{other['checkpoint_id']}.fold").read_bytes())
    server.post(f"/v1/checkpoints/{created['checkpoint_id']}/restore")
    assert values(server) == kept


@pytest.mark.parametrize("unknown", ["cp_" + "0" * 32, "cp_x", "..", "%2e%2e%2fjournal.db", "cp_%00", "ü"])
def test_an_unknown_checkpoint_is_neither_restored_nor_compared(server: Server, unknown: str) -> None:
    before = server.last_seq
    for path in (f"{unknown}/diff/now", f"now/diff/{unknown}"):
        assert server.client.get(f"/v1/checkpoints/{path}").status_code == 404
    response = server.client.post(f"/v1/checkpoints/{unknown}/restore")
    assert response.status_code == 404
    assert response.json()["code"] in ("unknown_checkpoint", "unknown_path")
    assert server.last_seq == before
