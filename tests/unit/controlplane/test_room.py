"""Memories that are held in little room: read as they were captured, and found as if they were whole."""

import asyncio
from random import Random

import msgspec
import numpy as np

from auditor import Rules, State
from auditor.events import Captured, Episode, EpisodeDeleted, Recorded
from auditor.provenance import Provenance
from controlplane.executor.matching import Sought, recall_matches
from controlplane.masking import MASK
from controlplane.memory.exact import ExactIndex
from controlplane.memory.kinds import Kinds
from controlplane.memory.sharing import Recent
from controlplane.memory.space import EpisodeRecord
from controlplane.memory.store import MemoryStore

DIMENSION, COUNT = 32, 120
EVERYTHING = Episode(
    namespace="team/ä",
    episode_type="near miss",
    goal="Push the work\nto the remote \U0001f600",
    planned_action="git push",
    task_id="t-1",
    trace_id="tr-1",
    error_trace='Traceback:\n  File "x", line 1\nValueError: bad \x00 "quotes"',
    error_class="timeout",
    tool_chain=("git", "ssh"),
    environment={"os": "linux", "token": MASK, "ci": True},
    preconditions={"python": "3.11", "cores": 2},
    resolution="git push --set-upstream origin x",
    severity=0.1 + 0.2,
    license="MIT",
    origin="backfill",
    tags=("a", "b"),
    custom={"large": 2**80, "nested": [{"x": [1.5, None]}], "": ""},
    provenance=Provenance(origin="o", key="k", episode_id=7, captured_at=1.5),
    digest="d" * 32,
    embedder="minilm",
)
NOT_KEPT = {"vector"}


def test_a_packed_episode_is_read_as_it_was_captured() -> None:
    plain = Episode(goal="", digest="e")
    for episode in (EVERYTHING, plain):
        whole, packed = (EpisodeRecord.of(1, 2.0, episode, "key") for _ in range(2))
        packed.pack()
        assert packed.episode == whole.episode == episode
        packed.pack()
        assert (packed.cause, packed.fault, packed.kind) == (whole.cause, whole.fault, whole.kind)
        packed.pack()
        assert packed.episode == episode


def test_every_field_of_an_episode_is_in_that_promise() -> None:
    fields = {field.name: field.default for field in msgspec.structs.fields(Episode)}
    unset = {name for name, default in fields.items() if getattr(EVERYTHING, name) in (default, {}, ())}
    assert unset == NOT_KEPT


def test_conditions_are_all_that_was_stated_and_is_no_secret() -> None:
    record = EpisodeRecord.of(1, 2.0, EVERYTHING)
    assert record.conditions == {"os": "linux", "ci": True, "python": "3.11", "cores": 2}


def test_what_was_read_last_is_whole() -> None:
    recent, packed = Recent(2), list[str]()

    class Named(str):
        def pack(self) -> None:
            packed.append(self)

    for name in "abcd":
        recent.add(Named(name))
    assert packed == ["a", "b"]


def test_the_ids_of_a_kind_are_told_in_order_whatever_came_and_went() -> None:
    rng, kinds, known = Random(3), Kinds(), dict[str, list[int]]()
    for key in range(2_000):
        kind = rng.choice("abcdefgh")
        if (those := known.setdefault(kind, [])) and rng.random() < 0.55:
            kinds.remove(kind, those.pop(rng.randrange(len(those))))
        else:
            kinds.add(kind, key)
            those.append(key)
        assert list(kinds.newest(kind)) == those[::-1]
    assert list(kinds.newest("never seen")) == []


def test_a_growing_index_keeps_every_vector() -> None:
    vectors = np.random.default_rng(5).standard_normal((5_000, 4)).astype(np.float32)
    index = ExactIndex(4)
    for key, vector in enumerate(vectors):
        index.add(key, vector)
    ids, kept = index.snapshot()
    assert ids.tolist() == [*range(5_000)]
    assert np.array_equal(kept, vectors)
    assert np.array_equal(index.several([4_999])[4_999], vectors[4_999])


def test_searches_find_the_same_of_packed_memories() -> None:
    rng, memory, fold = Random(7), MemoryStore(), State(Rules(points={})).of("one")
    vectors = np.random.default_rng(7).standard_normal((COUNT + 10, DIMENSION)).astype(np.float32)
    memory.embedder = "given"
    memory.go_live()
    for seq, vector in enumerate(vectors[:COUNT], 1):
        words = " ".join(rng.choices(("git", "push", "build", "deploy", "test", "users"), k=4))
        conditions: dict[str, object] = {"os": rng.choice(("linux", "darwin")), "ci": rng.random() < 0.5}
        episode = Episode(
            goal=words, planned_action=f"{words} {seq}", environment=conditions, digest=str(seq), embedder="given"
        )
        event = Captured(tenant="one", at=float(seq), episode=msgspec.structs.replace(episode, vector=vector.tobytes()))
        memory.observe(Recorded(seq, event))
    space = memory.space("one", "")
    asked = [Sought(vector, "git push users", {"os": "linux"}, 200.0) for vector in vectors[COUNT:]]
    whole = [asyncio.run(recall_matches(space, fold, sought, 10)) for sought in asked]
    told = [[(m.record.episode_id, m.scores, m.record.episode) for m in found] for found in whole]
    for record in space.episodes.values():
        record.pack()
    again = [asyncio.run(recall_matches(space, fold, sought, 10)) for sought in asked]
    assert [[(m.record.episode_id, m.scores, m.record.episode) for m in found] for found in again] == told


def test_an_episode_is_known_by_its_id_and_digest_in_whatever_namespace_until_it_is_purged() -> None:
    memory = MemoryStore()
    memory.go_live()
    for seq, namespace in enumerate(("", "a", "b", "a"), 1):
        episode = Episode(goal="x", namespace=namespace, digest=str(seq))
        memory.observe(Recorded(seq, Captured(tenant="one", at=float(seq), episode=episode)))
    for seq, namespace in enumerate(("", "a", "b", "a"), 1):
        space = memory.space("one", namespace)
        assert memory.space_of("one", seq) is space
        assert memory.space_of("two", seq) is None
        assert space.first_of(str(seq)) == seq
        memory.observe(Recorded(10 + seq, EpisodeDeleted(tenant="one", at=9.0, episode_id=seq)))
        assert memory.space_of("one", seq) is space.first_of(str(seq)) is None
