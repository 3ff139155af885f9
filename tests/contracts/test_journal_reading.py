"""Both journals: what can be asked of them, and that a tenant is only ever answered about itself."""

import typing
from collections.abc import Callable

import msgspec
import pytest

from auditor import Learned
from auditor.events import (
    AnyEvent,
    Captured,
    Checkpointed,
    CheckpointsPruned,
    Episode,
    EpisodeDeleted,
    Purged,
    Reported,
    Restored,
    SignatureSeen,
    WindowClosed,
)
from auditor.feedback import Outcome
from controlplane.journal import Journal, decode_event, encode_event
from controlplane.journal.port import ACT_KINDS, ALL

Make = Callable[[str], WindowClosed]
Ended = Callable[..., Learned]
KINDS = {
    "decision", "feedback", "validation", "capture", "signature", "episode_deleted", "purged", "skill_retired",
    "window_closed", "trajectory_closed", "configured", "checkpoint", "restored", "checkpoints_pruned",
    "tenant_set", "key_issued", "receipt", "answered", "key_ends", "job", "job_leased", "job_failed", "job_ended",
    "policy_set", "appeal", "appeal_ruled",
    "challenger_set", "challenger_ended", "promoted", "rolled_back", "federated", "origin_forgotten",
    "reserved", "settled", "released", "reconciled", "budget_set", "reflection", "reflection_evicted",
    "reuse_checked", "skill_described", "query", "session_outcome", "ranker",
    "document", "documents_dropped", "origin_registered",
    "quarantined", "quarantine_lifted", "episodes_archived", "episode_returned",
    "webhook_set", "webhook_removed",
}  # fmt: skip


def test_the_samples_cover_every_kind_of_event(one_of_each: tuple[AnyEvent, ...]) -> None:
    assert {type(event) for event in one_of_each} == set(typing.get_args(AnyEvent))
    assert {event.kind for event in one_of_each} == KINDS


def test_every_kind_of_event_reads_back_as_it_was_written(one_of_each: tuple[AnyEvent, ...]) -> None:
    for event in one_of_each:
        payload = encode_event(event)
        assert decode_event(payload) == event
        assert encode_event(decode_event(payload)) == payload
        assert msgspec.json.decode(payload)["kind"] == event.kind


def test_whatever_an_event_holds_refuses_fields_it_does_not_know() -> None:
    """One that a newer version added says what an older one would fold otherwise, if it passed it over."""
    kinds = msgspec.json.schema(AnyEvent, schema_hook=lambda _: {"title": "anything"})["$defs"]
    assert {"Decided", "Trace", "HeadChoice", "Rules"} <= kinds.keys()
    passed_over = {name for name, of in kinds.items() if of.get("additionalProperties", True) and "maxItems" not in of}
    assert passed_over == set()


async def test_every_kind_of_event_survives_the_journal(journal: Journal, one_of_each: tuple[AnyEvent, ...]) -> None:
    await journal.append(*one_of_each)
    assert tuple(r.event for r in await journal.read(0, 100)) == one_of_each


async def test_read_gives_a_page_in_order_and_nothing_past_the_end(journal: Journal, closed: Make) -> None:
    await journal.append(*(closed(f"t{i}") for i in range(10)))
    assert [r.seq for r in await journal.read(3, 4)] == [4, 5, 6, 7]
    assert [r.seq for r in await journal.read(8, 4)] == [9, 10]
    assert await journal.read(10, 4) == []


async def test_about_finds_all_of_one_kind_about_one_thing_in_order(journal: Journal) -> None:
    def report(tenant: str, trace_id: str, ms: float) -> Reported:
        return Reported(tenant=tenant, at=1.0, trace_id=trace_id, outcome=Outcome(latency_ms=ms))

    await journal.append(
        report("a", "tr_1", 1), report("b", "tr_1", 2), report("a", "tr_2", 3), report("a", "tr_1", 4),
        WindowClosed(tenant="a", at=1.0, trace_id="tr_1"),
    )  # fmt: skip
    assert [r.seq for r in await journal.about("a", "tr_1", "feedback")] == [1, 4]
    assert [r.seq for r in await journal.about("a", "tr_1", "window_closed")] == [5]
    assert [r.seq for r in await journal.about("b", "tr_1", "feedback")] == [2]
    assert await journal.about("a", "tr_9", "feedback") == []
    assert await journal.about("c", "tr_1", "feedback") == []


async def test_read_memory_gives_what_memory_is_made_of_and_nothing_else(
    journal: Journal, one_of_each: tuple[AnyEvent, ...]
) -> None:
    await journal.append(*one_of_each, *one_of_each)
    kinds = [r.event.kind for r in await journal.read_memory(0, 100)]
    documents = ["document", "documents_dropped", "origin_registered"]
    aside = ["quarantined", "quarantine_lifted", "episodes_archived", "episode_returned"]
    made = ["reflection", *documents, "reflection_evicted", "skill_described"]
    assert kinds == ["capture", "signature", "episode_deleted", *made, *aside] * 2
    first = await journal.read_memory(0, 2)
    assert [r.event.kind for r in first] == ["capture", "signature"]
    following = await journal.read_memory(first[-1].seq, 12)
    assert [r.event.kind for r in following] == [*kinds[2:13], "capture"]
    assert isinstance(following[-1].event, Captured)
    assert isinstance(first[1].event, SignatureSeen)


async def test_read_access_finds_the_operators_acts_and_nothing_else(
    journal: Journal, one_of_each: tuple[AnyEvent, ...]
) -> None:
    await journal.append(*one_of_each, *one_of_each)
    acts = await journal.read_access(0, 100)
    assert [r.event.kind for r in acts] == [
        "webhook_set",
        "webhook_removed",
        "tenant_set",
        "key_issued",
        "key_ends",
    ] * 2
    assert await journal.read_access(acts[1].seq, 1) == acts[2:3]


async def test_read_jobs_finds_what_is_or_was_owed_and_nothing_else(
    journal: Journal, one_of_each: tuple[AnyEvent, ...]
) -> None:
    await journal.append(*one_of_each, *one_of_each)
    jobs = await journal.read_jobs(0, 100)
    assert [r.event.kind for r in jobs] == ["job", "job_leased", "job_failed", "job_ended"] * 2
    assert await journal.read_jobs(jobs[3].seq, 2) == jobs[4:6]


async def test_acts_are_the_last_before_a_place_of_one_tenant_or_of_all(journal: Journal) -> None:
    def deleted(tenant: str, episode_id: int) -> EpisodeDeleted:
        return EpisodeDeleted(tenant=tenant, at=1.0, episode_id=episode_id, by="k1")

    await journal.append(*(deleted("ab"[n % 2], n) for n in range(10)))
    assert [r.seq for r in await journal.acts(ALL, 8, 3)] == [5, 6, 7]
    assert [r.seq for r in await journal.acts("a", 8, 3)] == [3, 5, 7]
    assert [r.seq for r in await journal.acts("b", 99, 99)] == [2, 4, 6, 8, 10]
    assert await journal.acts("a", 1, 9) == []


async def test_acts_are_every_kind_of_operators_act_and_nothing_else(
    journal: Journal, one_of_each: tuple[AnyEvent, ...]
) -> None:
    await journal.append(*one_of_each)
    acts = [r.event.kind for r in await journal.acts(ALL, 1000, 1000)]
    assert sorted(acts) == sorted(ACT_KINDS)
    named = {e.kind for e in one_of_each if "by" in e.__struct_fields__}
    assert named - set(acts) == {
        "feedback",
        "validation",
        "capture",
        "receipt",
        "appeal",
        "reflection",
        "document",
        "skill_described",
        "query",
        "session_outcome",
    }, (  # fmt: skip
        "what a key asks for is an act, or use"
    )


async def test_checkpoints_lists_a_tenants_checkpoints_restores_and_prunings(journal: Journal) -> None:
    def kept(tenant: str, name: str) -> Checkpointed:
        return Checkpointed(tenant=tenant, at=1.0, checkpoint_id=f"cp_{name}", name=name, seq=0, size_bytes=1)

    back = Restored(tenant="a", at=2.0, checkpoint_id="cp_one", seq=0)
    pruned = CheckpointsPruned(tenant="a", at=3.0, checkpoint_ids=("cp_one",), freed_bytes=1)
    await journal.append(kept("a", "one"), kept("b", "two"), back, pruned)
    found = [(r.seq, r.event.kind) for r in await journal.checkpoints("a")]
    assert found == [(1, "checkpoint"), (3, "restored"), (4, "checkpoints_pruned")]
    assert [(r.seq, r.event.kind) for r in await journal.checkpoints("b")] == [(2, "checkpoint")]
    assert await journal.checkpoints("c") == []


async def test_a_record_is_visible_at_once(journal: Journal, learned: Ended) -> None:
    assert await journal.learned("a", "tr_1") is None
    journal.record("a", [learned("tr_1", 5)])
    assert await journal.learned("a", "tr_1") == learned("tr_1", 5)
    assert await journal.learned("b", "tr_1") is None


async def test_recording_again_replaces_the_record(journal: Journal, learned: Ended) -> None:
    journal.record("a", [learned("tr_1", 5)])
    await journal.flush()
    journal.record("a", [learned("tr_1", 9)])
    assert await journal.learned("a", "tr_1") == learned("tr_1", 9)
    assert [pair async for pair in journal.all_learned(100)] == [("a", learned("tr_1", 9))]


async def test_all_learned_is_ordered_by_tenant_and_trace_up_to_a_place(journal: Journal, learned: Ended) -> None:
    journal.record("b", [learned("tr_1", 4)])
    journal.record("a", [learned("tr_2", 3), learned("tr_1", 8)])
    assert [pair async for pair in journal.all_learned(7)] == [("a", learned("tr_2", 3)), ("b", learned("tr_1", 4))]
    assert [(t, r.trace_id) async for t, r in journal.all_learned(8)] == [("a", "tr_1"), ("a", "tr_2"), ("b", "tr_1")]


async def test_erasing_keeps_the_number_and_loses_the_content(journal: Journal, episode: Episode, closed: Make) -> None:
    captured = Captured(tenant="a", at=5.0, episode=episode)
    await journal.append(closed("before"), captured, closed("after"))
    await journal.erase("a", 2)
    rows = await journal.read(0, 10)
    assert [r.seq for r in rows] == [1, 2, 3]
    assert isinstance(rows[1].event, Purged)
    assert rows[1].event.tenant == "a"
    assert await journal.about("a", episode.digest, "capture") == []
    assert await journal.read_memory(0, 10) == []
    assert journal.last_seq == 3


async def test_erasing_what_another_tenant_wrote_changes_nothing(journal: Journal, episode: Episode) -> None:
    captured = Captured(tenant="a", at=5.0, episode=episode)
    await journal.append(captured)
    await journal.erase("b", 1)
    assert [r.event for r in await journal.read(0, 10)] == [captured]


async def test_twins_write_the_same_tombstone(journal: Journal, episode: Episode) -> None:
    await journal.append(Captured(tenant="a", at=5.0, episode=episode))
    await journal.erase("a", 1)
    assert [r.event for r in await journal.read(0, 10)] == [Purged(tenant="a", at=0.0)]


async def test_erased_content_is_gone_for_a_consumer_that_comes_later(journal: Journal, episode: Episode) -> None:
    await journal.append(Captured(tenant="a", at=5.0, episode=episode), Captured(tenant="b", at=5.0, episode=episode))
    await journal.erase("a", 1)
    assert [r.event.kind for r in await journal.committed(0)] == ["purged", "capture"]


async def test_a_deletion_is_an_event_of_its_own(journal: Journal) -> None:
    deleted = EpisodeDeleted(tenant="a", at=6.0, episode_id=2)
    await journal.append(deleted)
    assert [r.event for r in await journal.read_memory(0, 10)] == [deleted]


async def test_an_event_that_cannot_be_written_is_refused_alone(journal: Journal, closed: Make) -> None:
    with pytest.raises(UnicodeEncodeError):
        await journal.append(closed("\ud800"))
    assert await journal.append(closed("good")) == 1
    assert [r.event.ref for r in await journal.read(0, 10)] == ["good"]
