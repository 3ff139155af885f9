"""The twins that must keep the same promises: two journals and the simulation's, two indexes, two embedders."""

import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from auditor import Learned
from auditor.events import (
    Answered,
    AnyEvent,
    Captured,
    Checkpointed,
    CheckpointsPruned,
    Configured,
    Decided,
    Episode,
    EpisodeDeleted,
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
    KeyEnds,
    KeyIssued,
    Purged,
    Received,
    Reported,
    Restored,
    SignatureSeen,
    SkillRetired,
    TenantSet,
    TrajectoryClosed,
    Validated,
    WindowClosed,
)
from auditor.federation_events import Federated, OriginForgotten
from auditor.feedback import Outcome
from auditor.guards import Guard
from auditor.hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted
from auditor.money_events import BudgetSet, Reconciled, Released, Reserved, Settled, Spender
from auditor.override import Override, Tuning
from auditor.passage_events import Document, DocumentKept, DocumentsDropped, OriginRegistered, Passage
from auditor.policy_events import Appealed, AppealRuled, ChallengerEnded, ChallengerSet, PolicySet, Promoted, RolledBack
from auditor.ranker_events import Evaluation, RankerSet
from auditor.reflection_events import Insight, Reflected, ReflectionEvicted, ReuseChecked
from auditor.rewards import DEFAULT_WEIGHTS, Report, Term
from auditor.rival import Spec
from auditor.rules import PointRules, Rules
from auditor.session_events import Queried, SessionReported, Shown
from auditor.skill_events import SkillDescribed, SkillText
from auditor.trace import Trace
from auditor.webhook_events import WebhookRemoved, WebhookSet
from controlplane.checkpoints import write_atomically
from controlplane.clock import SystemClock
from controlplane.embedding import Embedder, HashingEmbedder, QuantizedEmbedder, SentenceEmbedder
from controlplane.journal import Journal, MemoryJournal, SqliteJournal, connect
from controlplane.journal.postgres import PostgresJournal
from strategist import HeadChoice, PolicySettings, State, Update
from strategist.federation import Entry

from ..simulation.shared import SimulatedDatabase, Tables
from ..simulation.store import CrashingJournal, Disk, Faults

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: a test looks nothing up

TENANT, AT = "default", 1_800_000_000.25
Open = Callable[[Path], Awaitable[Journal]]


async def _open_memory(file: Path) -> Journal:
    return MemoryJournal()


async def _open_sqlite(file: Path) -> Journal:
    return await SqliteJournal.open(connect(file))


async def _open_crashing(file: Path) -> Journal:
    return CrashingJournal(Disk(), Faults(random.Random(1), share=0.0, slowest_s=0.0))


async def _open_shared(file: Path) -> Journal:
    database: Any = SimulatedDatabase(Tables(time.monotonic), Faults(random.Random(1), share=0.0, slowest_s=0.0))
    return await PostgresJournal.over(database, SystemClock())


JOURNALS = {
    "memory": _open_memory,
    "sqlite": _open_sqlite,
    "simulated": _open_crashing,
    "simulated replica": _open_shared,
    "postgres": None,
}


@pytest.fixture(params=JOURNALS.values(), ids=JOURNALS.keys())
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty journal of each kind."""
    if request.param is None:
        opened = await PostgresJournal.open(request.getfixturevalue("database_url"), SystemClock())
    else:
        opened = await request.param(tmp_path / "journal.db")
    yield opened
    await opened.close()


@pytest.fixture
async def on_disk(tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[SqliteJournal]]]:
    """Opens the SQLite journal of this test's folder; every call closes what was open before."""
    opened: list[SqliteJournal] = []

    async def reopen() -> SqliteJournal:
        while opened:
            await opened.pop().close()
        opened.append(await SqliteJournal.open(connect(tmp_path / "journal.db")))
        return opened[-1]

    yield reopen
    while opened:
        await opened.pop().close()


@pytest.fixture(scope="session")
def sentence() -> Embedder:
    """The shipped model: it takes seconds to load."""
    return SentenceEmbedder()


@pytest.fixture(scope="session")
def int8(sentence: SentenceEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The same in 8 bits: it takes seconds to be made."""
    return QuantizedEmbedder(tmp_path_factory.mktemp("data") / "embedder", write_atomically, lambda: sentence)


@pytest.fixture(scope="session", params=["hashing", "sentence", "int8"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Each embedder, made once."""
    return HashingEmbedder() if request.param == "hashing" else request.getfixturevalue(request.param)


@pytest.fixture
def closed() -> Callable[[str], WindowClosed]:
    """A small event about a trace."""
    return lambda trace_id: WindowClosed(tenant=TENANT, at=AT, trace_id=trace_id)


@pytest.fixture
def episode() -> Episode:
    """An episode with every field filled, text in several scripts among it."""
    return Episode(
        namespace="team",
        goal="déployer — 部署 🚂",
        planned_action="kubectl apply -f deployment.yaml",
        task_id="task-7",
        trace_id="tr_1",
        error_trace="line one\nError: exceeded quota\t\\",
        error_class="resource_error",
        tool_chain=("kubectl", "apply"),
        environment={"cluster": "production", "nodes": 3, "spot": False, "load": 0.25, "note": None},
        preconditions={"nested": {"list": [1, "two", None]}},
        resolution="raise the quota",
        severity=0.9,
        license="MIT",
        origin="agents",
        tags=("a", "b"),
        custom={"ticket": 2**53},
        digest="d1",
        embedder="hashing-384",
        vector=bytes(range(256)),
    )


@pytest.fixture
def trace() -> Trace:
    """A decision with two heads and every field filled."""
    state = State((("", "a"), ("", "b", "b|c")))
    verdict = HeadChoice(
        head="verdict",
        state=state,
        actions=("PROCEED", "HINT"),
        masked={"BLOCK": "no evidence"},
        probabilities=(0.1, 0.9),
        q_values=(-0.125, 1 / 3),
        action="HINT",
        propensity=0.9,
        exploration="exploit",
        draw=0.7,
        visits=4,
        rule="HINT",
    )
    tier = HeadChoice(
        head="tier",
        state=state.after("verdict", "HINT"),
        actions=("cheap",),
        masked={},
        probabilities=(1.0,),
        q_values=(0.0,),
        action="cheap",
        propensity=1.0,
        exploration="only",
        draw=0.2,
        visits=0,
    )
    return Trace(
        trace_id="tr_1",
        namespace="team",
        task_id="task-7",
        previous_trace_id="tr_0",
        point="gate",
        request={"goal": "x", "environment": {"cluster": "production"}},
        facts={"similarity": 0.93, "rule": "HINT", "attempt": 1, "skill": None},
        text_codes=("m:4:1", "m:6:2"),
        own_facts={"zone": "z", "spot": True},
        heads=(verdict, tier),
        rule="HINT",
        mode="learning",
        learn_on="complete",
        terminal=False,
        cited=(3, 5),
        signature="kubectl | kubectl apply",
        abstained=True,
        degraded=("signals",),
        execution={"hints": ["one"], "risk": 0.5},
        policy_version=41,
        settings_hash="s1",
        spec_hash="f1",
    )


@pytest.fixture
def learned() -> Callable[..., Learned]:
    """The record of a decision that was learnt at `seq`."""

    def make(trace_id: str, seq: int) -> Learned:
        report = Report(0.1 + seq, (Term("latency", 1 / 3, 0.4, "quick"),), ("cost",))
        update = Update(target=0.5, q_before=0.1, td_error=0.4, discount=0.92, truncated=False, visits=seq)
        return Learned(trace_id=trace_id, point="route", seq=seq, report=report, update=update)

    return make


@pytest.fixture
def one_of_each(trace: Trace, episode: Episode) -> tuple[AnyEvent, ...]:
    """One event of every kind, no field left at its default where another value is possible."""
    outcome = Outcome(
        success=False, latency_ms=42.5, cost=0.12, failures=2, slo_hit=True, applied_suggestion=False,
        executed=False, overridden=True, terminal=True, custom={"taste": -0.5},
    )  # fmt: skip
    gate = PointRules(policy=PolicySettings(), spec_hash="f1", weights=DEFAULT_WEIGHTS["gate"], window_s=12.5)
    head = {"tenant": TENANT, "at": AT}
    guard = Guard(name="no force", effect="forbid", actions=("PROCEED",), command="*--force*", environment={"ci": 1})
    override = Override(mode="frozen", weights={"cost": 0.5}, risk_ceiling=0.7, hand_over="automatic", guards=(guard,))
    spec = Spec(tuning=Tuning(gamma=0.5, exploration="ucb"), weights={"cost": 0.5}, checkpoint_id="cp_1")
    spender = Spender(model="m", tier="cheap", purpose="chat", agent="ci", user="ann")
    cells = [("place/", "a/1", 0.25, 9.5), ("", "a/1", -0.5, 1.0)]
    entry = Entry(origin="or_" + "1f" * 16, seq=7, point="route", spec_hash="f1", weights={"cost": 0.5}, cells=cells)
    insight = Insight(
        root_cause="no tag",
        preconditions=("a",),
        resolution_strategy="push",
        environment_factors=("b",),
        confidence=0.25,
    )
    words = SkillText(name="push_tag", docstring="Push it.", preconditions=("a",), steps=("Push.",))
    shown = Shown(item=4, kind="episode", origin="agents", of="agents", scores={"similarity": 0.5})
    evaluation = Evaluation(sessions=60, held_out=20, auc_before=0.5, auc_after=0.75, low=0.125)
    return (
        Decided(**head, trace=trace),
        Reported(**head, trace_id="tr_1", outcome=outcome),
        Validated(**head, episode_id=4, trace_id=None, success=True, applied_suggestion=False),
        Appealed(**head, trace_id="tr_1", reason="it works", by="k1"),
        AppealRuled(**head, trace_id="tr_1", upheld=True, why="it does", by="k1"),
        Captured(**head, episode=episode, duplicate_of=3),
        SignatureSeen(**head, namespace="team", signature="ls", text="ls", embedder="e", vector=b"\x00\xff"),
        EpisodeDeleted(**head, episode_id=4),
        Purged(**head),
        SkillRetired(**head, skill_id=9, reason="wrong"),
        WindowClosed(**head, trace_id="tr_1"),
        TrajectoryClosed(**head, point="gate", namespace="team", task_id="task-7"),
        Configured(**head, rules=Rules(points={"gate": gate}, trajectory_ttl_s=9.0), settings_hash="s1"),
        PolicySet(**head, point="gate", override=override, by="k1", why="a risky week"),
        ChallengerSet(**head, point="route", spec=spec, share=0.1, rests_on=7, by="k1", why="to try"),
        ChallengerEnded(**head, point="route", outcome="rolled_back", by="", why="it was worse"),
        Promoted(**head, point="route", override=override, was=Override(), by="k1", why="it is better"),
        RolledBack(**head, point="route", override=Override(), by="k1", why="it was better"),
        Federated(**head, entry=entry.sealed(), by="k1", why="to start from"),
        OriginForgotten(**head, point="route", origin=entry.origin, by="k1", why="it was wrong"),
        Reserved(**head, reservation_id="rv_1", spender=spender, nano_usd=2**40),
        Settled(**head, reservation_id="rv_1", nano_usd=7, basis="usage", if_cheap=3, if_premium=9),
        Released(**head, reservation_id="rv_2"),
        Reconciled(**head, reservation_id="rv_3", nano_usd=5, by="k1", why="the bill"),
        BudgetSet(**head, scope="agent", name="ci", period="week", nano_usd=10**9, by="k1", why="enough"),
        Reflected(
            **head,
            reflection_id="rf_1",
            episode_id=4,
            tier="cheap",
            insight=insight,
            of="rf_0",
            models=("m",),
            prompts=("reflection@1",),
            nano_usd=7,
            by="k1",
            similarity=0.93,
            drawn=True,
            replaces="rf_2",
        ),
        DocumentKept(
            **head,
            document=Document(
                namespace="n",
                origin="wiki",
                key="a.md",
                kind="patch",
                title="A",
                license="MIT",
                metadata={"team": "x"},
                version="3",
                enhancement=0.5,
                alignment_severity=0.25,
                semantic_alerts=1,
                digest="d",
                embedder="hashing-384",
                passages=(Passage("text", b"\x00\x01"), Passage("more")),
            ),
            by="k1",
        ),
        DocumentsDropped(**head, namespace="n", origin="wiki", key="a.md", by="k1"),
        OriginRegistered(**head, origin="wiki", what="bots", license="MIT", by="k1"),
        ReflectionEvicted(**head, reflection_id="rf_1", episode_id=4, by="k1"),
        ReuseChecked(
            **head,
            reflection_id="rf_1",
            of="rf_0",
            error_class="timeout",
            similarity=0.93,
            agreed=False,
            reused=True,
            nano_usd=7,
        ),
        SkillDescribed(**head, episode_id=4, text=words, models=("m",), prompts=("skill@1",), nano_usd=7, by="k1"),
        Queried(**head, session_id="se_1", namespace="team", shown=(shown,), by="k1"),
        SessionReported(**head, session_id="se_1", success=True, contribution=0.5, used=(4,), by="k1", counts=False),
        RankerSet(**head, weights={"similarity": 1.0}, evaluation=evaluation, by="k1"),
        Quarantined(**head, key_id="k2", since=1.5, until=9.5, why="it lied", by="k1"),
        QuarantineLifted(**head, quarantine_id=7, by="k1"),
        EpisodesArchived(**head, episode_ids=(4, 5)),
        EpisodeReturned(**head, episode_id=4, by="k1"),
        WebhookSet(**head, webhook_id="wh_1", url="https://example.org/hook", kinds=("captured",), by="k1"),
        WebhookRemoved(**head, webhook_id="wh_1", by="k1"),
        Checkpointed(**head, checkpoint_id="cp_1", name="before", seq=7, size_bytes=99),
        Restored(**head, checkpoint_id="cp_1", seq=7),
        CheckpointsPruned(**head, checkpoint_ids=("cp_1", "cp_2"), freed_bytes=99),
        TenantSet(**head, tier="pro", fail_mode="open", by="k1"),
        Received(**head, route="/v1/feedback", key="once", fingerprint=b"\x02", by="k1", answer={"seq": [1]}),
        Answered(**head, route="/v1/feedback", key="once", receipt=7, answer={"updated": True}),
        KeyIssued(
            **head, key_id="k2", key_kind="tenant", name="ci", scopes=("read",), digest=b"\x01", ends_at=9.5, by="k1"
        ),
        KeyEnds(**head, key_id="k2", ends_at=8.5, by="k1"),
        JobAdded(**head, job_id="jb_1", work="alarm", about="a/gate", body={"alarm": "x", "details": {}}, cause=7),
        JobLeased(**head, job_id="jb_1", fence=2, until=9.5),
        JobFailed(**head, job_id="jb_1", fence=2, why="it answered 500", next_at=9.5),
        JobEnded(**head, job_id="jb_1", fence=3, given_up="too old"),
    )
