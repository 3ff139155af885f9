"""State at rest: equal states give equal bytes, and a fold that was interrupted ends where one in one go does."""

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import Outcome, Rules, UnreadableFold, at_rest
from auditor import State as LearntState
from auditor.drift import Drift, Watch, WatchDump
from auditor.events import (
    Answered,
    AnyEvent,
    Captured,
    Configured,
    Decided,
    Episode,
    EpisodeDeleted,
    Received,
    Recorded,
    Reported,
    Restored,
    SkillRetired,
    TrajectoryClosed,
    Validated,
    WindowClosed,
)
from auditor.expiry import expired
from auditor.federation_events import Federated, OriginForgotten
from auditor.packing import ROWS, packed
from auditor.state import StateDump
from auditor.trace import Lesson
from controlplane.journal import decode_event, encode_event
from strategist import PolicySettings, SpecMismatch, StepSize
from strategist.federation import Entry

from .story import Story, rules_of, trace_of

TENANTS = ("acme", "default")
ACTIONS = {
    "gate": ("PROCEED", "HINT", "REWRITE", "BLOCK"),
    "route": ("akash/A8", "vast/V4"),
    "capture": ("cached", "cheap", "premium"),
}
OUTCOMES = (
    Outcome(success=True),
    Outcome(success=False),
    Outcome(success=True, applied_suggestion=True, cost=0.1),
    Outcome(success=False, applied_suggestion=False),
    Outcome(success=True, terminal=True),
    Outcome(success=False, terminal=False),
    Outcome(executed=False),
    Outcome(success=True, overridden=True),
    Outcome(latency_ms=90.0, failures=2, custom={"x": 0.3, "a": -0.1}),
)


class Writer:
    """A seeded stream of events of two tenants; trace ids are in no order, on purpose."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._rules = rules_of(policy=PolicySettings(update=self._rng.choice(("q_learning", "tree_backup"))))
        self._traces: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._at = 1000.0

    def events(self, count: int) -> Iterator[AnyEvent]:
        yield Configured(tenant="", at=self._at, rules=self._rules, settings_hash="first")
        for seq in range(2, count + 1):
            self._at += self._rng.choice((0.0, 1.5, 700.0))
            yield self._next(seq, self._rng.choice(TENANTS))

    def _next(self, seq: int, tenant: str) -> AnyEvent:
        roll, at = self._rng.random(), self._at
        trace_id = self._rng.choice(self._traces[tenant][-12:] or ["nobody"])
        if roll < 0.40:
            return self._decided(tenant)
        if roll < 0.42:
            return Received(tenant=tenant, at=at, route="/r", key=f"k{seq}", fingerprint=b"f", by="")
        if roll < 0.43:
            return Answered(tenant=tenant, at=at, route="/r", key="k", receipt=self._rng.randrange(1, seq), answer={})
        if roll < 0.72:
            return Reported(tenant=tenant, at=at, trace_id=trace_id, outcome=self._rng.choice(OUTCOMES))
        if roll < 0.80:
            return self._validated(tenant, trace_id)
        if roll < 0.86:
            return WindowClosed(tenant=tenant, at=at, trace_id=trace_id)
        if roll < 0.90:
            task = self._rng.choice("xyz")
            return TrajectoryClosed(tenant=tenant, at=at + 1800.0, point="gate", namespace="", task_id=task)
        if roll < 0.92:
            return SkillRetired(tenant=tenant, at=at, skill_id=self._rng.randrange(1, seq), reason="told so")
        if roll < 0.94:
            return EpisodeDeleted(tenant=tenant, at=at, episode_id=self._rng.randrange(3))
        if roll < 0.95:
            return self._from_elsewhere(tenant)
        if roll < 0.96:
            return Captured(tenant=tenant, at=at, episode=Episode(goal="g", digest="d", vector=b"\0\1"))
        if roll < 0.98:
            return Configured(tenant="", at=at, rules=self._other_rules(), settings_hash="later")
        return Restored(tenant=tenant, at=at, checkpoint_id="cp", seq=self._rng.randrange(max(1, seq - 10), seq))

    def _from_elsewhere(self, tenant: str) -> Federated | OriginForgotten:
        rng, origin = self._rng, f"or_{self._rng.randrange(3):032x}"
        point = rng.choice(("gate", "route"))
        if rng.random() < 0.2:
            return OriginForgotten(tenant=tenant, at=self._at, point=point, origin=origin, why="told so")
        actions = ("PROCEED", "HINT") if point == "gate" else ("akash/A8", "vast/V4")
        cells = [(f"k{k}", action, rng.uniform(-1, 1), rng.uniform(1, 200)) for k in range(5) for action in actions]
        spec = self._rules.points[point].spec_hash
        entry = Entry(origin=origin, seq=rng.randrange(1, 9), point=point, spec_hash=spec, weights={}, cells=cells)
        return Federated(tenant=tenant, at=self._at, entry=entry.sealed(), why="to start from")

    def _decided(self, tenant: str) -> Decided:
        rng = self._rng
        trace_id = f"tr_{rng.randrange(10**9)}"
        point = rng.choice(("gate", "gate", "route", "capture"))
        actions = ACTIONS[point]
        action = rng.choice(actions)
        made = f"rf_{rng.randrange(4)}"
        trace = trace_of(
            trace_id,
            action,
            point=point,
            task=rng.choice((None, "x", "x", "x", "y", "z")),
            key=f"k{rng.randrange(5)}",
            eligible=actions,
            lesson=None if point == "route" else Lesson(made, rng.randrange(10**8)),
            tiers=("cheap", "premium") if action == "REWRITE" else (),
            cited=(rng.randrange(3),),
            signature=rng.choice((None, "pytest", "git push")),
            conditions=(f"ci={rng.randrange(2)}", rng.choice(("@turn=fresh", "@turn=retry"))),
            advised=rng.choice((None, "make", "git push")),
            rule=rng.choice((None, "HINT")),
            previous_trace_id=rng.choice([None, *self._traces[tenant][-3:]]),
        )
        self._traces[tenant].append(trace_id)
        return Decided(tenant=tenant, at=self._at, trace=trace)

    def _validated(self, tenant: str, trace_id: str) -> Validated:
        return Validated(
            tenant=tenant,
            at=self._at,
            episode_id=self._rng.randrange(3),
            trace_id=self._rng.choice((None, trace_id)),
            success=self._rng.random() < 0.9,
            applied_suggestion=True,
        )

    def _other_rules(self) -> Rules:
        """Another step size, mode and join rule; the feature specs stay, so that restores stay possible."""
        policy = PolicySettings(
            gamma=self._rng.choice((0.5, 0.92)),
            mode=self._rng.choice(("learning", "learning", "apprentice", "frozen")),
            step=StepSize(alpha=self._rng.choice((None, 0.2))),
            update=self._rng.choice(("q_learning", "expected_sarsa", "tree_backup")),
        )
        join = self._rng.choice(("last", "mean"))
        points = {p: msgspec.structs.replace(of, policy=policy, join=join) for p, of in self._rules.points.items()}
        return msgspec.structs.replace(self._rules, points=points)


Prefixes = dict[tuple[str, int], bytes]


def fold(state: LearntState, events: list[Recorded], prefixes: Prefixes) -> list[object]:
    """Fold the events; every tenant's state after each of them is kept for restores, and what it answered returned."""
    applied = []
    for recorded in events:
        event = recorded.event
        prefix = prefixes[event.tenant, event.seq] if isinstance(event, Restored) else None
        applied.append(state.apply(recorded, prefix))
        for tenant in TENANTS:
            prefixes.setdefault((tenant, recorded.seq), state.dump_tenant(tenant))
    return applied


def journal(seed: int, count: int) -> list[Recorded]:
    """What a journal gives back: every event went through its encoding."""
    events = Writer(seed).events(count)
    return [Recorded(seq, decode_event(encode_event(event))) for seq, event in enumerate(events, 1)]


@settings(max_examples=100, derandomize=True, database=None, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 150), share=st.floats(0, 1))
def test_fold_that_was_dumped_and_loaded_midway_ends_in_the_same_bytes(seed: int, count: int, share: float) -> None:
    recorded = journal(seed, count)
    cut = 1 + round(share * (len(recorded) - 1))
    prefixes: Prefixes = {}
    whole = LearntState(Rules(points={}))
    applied = fold(whole, recorded, prefixes)
    first = LearntState(Rules(points={}))
    began = fold(first, recorded[:cut], dict(prefixes))
    second = LearntState.load(first.dump())
    ended = fold(second, recorded[cut:], dict(prefixes))
    assert second.dump() == whole.dump()
    assert began + ended == applied  # every answer and every learnt record too
    for tenant in TENANTS:
        assert list(expired(second.of(tenant), 1e6)) == list(expired(whole.of(tenant), 1e6))  # and what is due


@settings(max_examples=100, derandomize=True, database=None, deadline=None, print_blob=True)
@given(seed=st.integers(0, 2**32), count=st.integers(2, 150))
def test_once_every_window_and_task_was_closed_nothing_is_open(seed: int, count: int) -> None:
    """Whatever came before, under whichever rule: what waits for another is over when that one is."""
    state, now = LearntState(Rules(points={})), 1e6
    fold(state, journal(seed, count), {})
    for tenant in TENANTS:
        while due := list(expired(state.of(tenant), now)):
            for event in due:
                state.apply(Recorded(state.seq + 1, event))
            now += 2000.0
        assert state.of(tenant).credit.open == state.of(tenant).credit.trajectories == {}


def test_order_of_learning_survives_a_restart(story: Story) -> None:
    """Reported as z, then a: their successor completes them in that order, before and after a load."""
    for trace_id in ("a", "z"):
        story.decide(trace_id, task="job")
    for trace_id in ("z", "a"):
        story.report(trace_id, success=True)
    story.state = LearntState.load(story.state.dump())
    assert story.decide("next", task="job") == ("z", "a")


@pytest.fixture
def learnt() -> LearntState:
    state = LearntState(Rules(points={}))
    fold(state, journal(2026, 400), {})
    return state


def test_seeded_stream_learns_something_of_every_kind(learnt: LearntState) -> None:
    """Otherwise the property above would hold of nothing."""
    tenants = [learnt.of(tenant) for tenant in TENANTS]
    assert min(fold_.policies["gate"].updates for fold_ in tenants) > 10
    assert sum(fold_.policies["route"].updates for fold_ in tenants) > 10
    for held in ("open", "trajectories", "cases", "validations", "skills"):
        assert any(msgspec.msgpack.decode(b"".join(at_rest.pieces(fold_)))[held] for fold_ in tenants), held


@pytest.mark.parametrize("seed", [1, 2])
def test_events_come_back_from_the_journal_as_they_went_in(seed: int) -> None:
    assert [recorded.event for recorded in journal(seed, 300)] == list(Writer(seed).events(300))


def test_dump_and_load_give_equal_bytes(learnt: LearntState) -> None:
    assert LearntState.load(learnt.dump()).dump() == learnt.dump()
    assert LearntState.load(learnt.dump()).seq == learnt.seq == 400


@pytest.mark.parametrize("rows", [0, 15, 16, 70_000])
def test_a_dump_in_pieces_is_what_the_library_writes_at_once(learnt: LearntState, rows: int) -> None:
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    assert encode(msgspec.msgpack.Decoder(StateDump).decode(learnt.dump())) == learnt.dump()
    assert b"".join(packed(list(range(rows)))) == encode(list(range(rows)))


def test_no_piece_of_a_dump_grows_with_how_much_is_open() -> None:
    story = Story(rules_of())
    for i in range(20 * ROWS):
        story.decide(f"t{i}", "HINT")
    assert max(map(len, story.state.pieces())) < len(story.state.dump()) / 15


def test_no_piece_of_a_dump_grows_with_how_many_actions_there_are() -> None:
    state = Story(rules_of()).state
    state.drift = Drift.load([WatchDump("default", "route", f"action {i}", Watch()) for i in range(20 * ROWS)])
    assert max(map(len, state.pieces())) < len(state.dump()) / 15
    assert LearntState.load(state.dump()).dump() == state.dump()


def test_same_stream_gives_the_same_bytes_twice(learnt: LearntState) -> None:
    again = LearntState(Rules(points={}))
    fold(again, journal(2026, 400), {})
    assert again.dump() == learnt.dump()


def test_a_dump_of_before_trajectories_were_folded_is_read(learnt: LearntState) -> None:
    """What is open says nothing of whom it follows: that is nobody."""
    raw = msgspec.msgpack.decode(learnt.dump())
    decisions = [decision for tenant in raw["tenants"] for decision in tenant["open"]]
    for decision in decisions:
        del decision["followed_by"], decision["follows"]
    read = LearntState.load(msgspec.msgpack.encode(raw))
    again = [decision for tenant in TENANTS for decision in read.of(tenant).credit.open.values()]
    assert len(again) == len(decisions) > 0
    assert {(decision.followed_by, decision.follows) for decision in again} == {(None, ())}
    assert not any(read.of(tenant).credit.held(decision) for tenant in TENANTS for decision in again)


def test_asking_for_an_unknown_tenant_leaves_no_trace(learnt: LearntState) -> None:
    before = learnt.dump()
    assert learnt.of("nobody").policies["gate"].updates == 0
    assert learnt.dump() == before


def test_tenants_learn_apart(story: Story) -> None:
    story.decide("t1", key="s")
    story.report("t1", success=True)
    before = story.state.dump_tenant("default")
    story.tenant = "another"
    assert story.value("s", "PROCEED") == 0.0
    story.decide("t1", key="s")
    story.report("t1", success=False)
    assert story.value("s", "PROCEED") == -1.0
    assert story.state.dump_tenant("default") == before


def test_restore_goes_back_to_its_prefix_and_learns_on_from_there(story: Story) -> None:
    story.decide("t1", key="s")
    story.report("t1", success=True)
    story.decide("open", task="job")
    prefix, seq = story.state.dump_tenant("default"), story.state.seq
    story.decide("t2", key="s")
    story.report("t2", success=False)
    story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=seq), prefix)
    assert story.value("s", "PROCEED") == 1.0
    assert story.state.dump_tenant("default") == prefix
    assert story.state.seq == seq + 3  # the journal goes on; what came between stays logged but unlearnt
    assert story.report("open", success=True).pending == "next_decision"


def test_restore_of_one_tenant_leaves_the_others_alone(story: Story) -> None:
    empty = story.state.dump_tenant("default")
    for tenant in ("default", "another"):
        story.tenant = tenant
        story.decide("t1", key="s")
        story.report("t1", success=True)
    story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=0), empty)
    assert story.value("s", "PROCEED") == 1.0
    story.tenant = "default"
    assert story.value("s", "PROCEED") == 0.0


def test_restore_follows_the_settings_in_force_not_those_of_its_checkpoint(story: Story) -> None:
    """Constant step 0.2 since: from the restored 1.0 a fifth of the way to -1 is 0.6."""
    story.decide("t1", key="s")
    story.report("t1", success=True)
    prefix, seq, rules = story.state.dump_tenant("default"), story.state.seq, story.state.rules
    policy = PolicySettings(gamma=0.9, step=StepSize(alpha=0.2))
    story.configure(Rules(points={p: msgspec.structs.replace(of, policy=policy) for p, of in rules.points.items()}))
    story.tell(Restored(tenant="default", at=story.now, checkpoint_id="cp", seq=seq), prefix)
    story.decide("t2", key="s")
    story.report("t2", success=False)
    assert story.value("s", "PROCEED") == pytest.approx(0.6, rel=1e-12)


def test_restore_without_its_prefix_is_refused_not_skipped(story: Story) -> None:
    seq = story.state.seq
    with pytest.raises(UnreadableFold, match="goes back to 0"):
        story.tell(Restored(tenant="default", at=1.0, checkpoint_id="cp", seq=0))
    assert story.state.seq == seq


def test_restore_under_another_feature_spec_is_refused(story: Story) -> None:
    prefix, rules = story.state.dump_tenant("default"), story.state.rules
    story.configure(Rules(points={p: msgspec.structs.replace(of, spec_hash="other") for p, of in rules.points.items()}))
    with pytest.raises(SpecMismatch):
        story.tell(Restored(tenant="default", at=1.0, checkpoint_id="cp", seq=0), prefix)


@pytest.mark.parametrize("damage", [b"", b"\x00", b"not a dump", b"\x81\xa6format\x01"])
def test_damaged_dump_is_refused_as_such(damage: bytes) -> None:
    with pytest.raises(UnreadableFold, match="cannot be read"):
        LearntState.load(damage)


def test_truncated_dump_is_refused(learnt: LearntState) -> None:
    with pytest.raises(UnreadableFold, match="cannot be read"):
        LearntState.load(learnt.dump()[:-1])


def test_dump_of_another_format_is_refused(learnt: LearntState) -> None:
    raw = msgspec.msgpack.decode(learnt.dump())
    with pytest.raises(UnreadableFold, match="format 99"):
        LearntState.load(msgspec.msgpack.encode({**raw, "format": 99}))
