"""What must hold whatever happens (I1 to I10); I3, money, comes with the part that spends any."""

import gc
import math
from collections import defaultdict
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from auditor.events import (
    AnyEvent,
    Captured,
    Decided,
    EpisodeDeleted,
    JobAdded,
    JobEnded,
    KeyIssued,
    Recorded,
    Reported,
    TenantSet,
    Validated,
)
from auditor.passage_events import DocumentKept
from auditor.policy_events import ChallengerEnded, PolicySet, RolledBack
from controlplane.http.encoding import JSON
from controlplane.http.problems import PROBLEM
from controlplane.http.routes import COUNTS_AS, ROUTES, Route
from controlplane.journal.port import MEMORY_KINDS
from controlplane.memory.passages import PassageSpace
from controlplane.memory.space import Space
from controlplane.memory.store import MemoryStore
from controlplane.refold import refold
from controlplane.tenants.limits import quota

from .ledger import EFFECTS, Effect, Ledger
from .operations import TENANTS, Call, canary
from .world import Answer, World

SERIES = 2000  # what a server may have in all (I9)
LOOPS = {
    "learner",
    "background",
    "journal-writer",
    "outbox",
    "webhooks",
    "reflections",
    "reuse checks",
    "skill texts",
}  # what runs while nothing is asked
TRYING = {"upstream", "outbox try"}  # and now and then
SESSION_OUTCOME = "POST /v1/sessions/{session_id:str}/outcome"
BY_NAME: dict[str, Route] = {f"{route.method.__name__.upper()} {route.path}": route for route in ROUTES}
REFUSALS = {name: route.refusals for name, route in BY_NAME.items()}


class Limits:
    """Who was let in when, to be compared with what a tier allows (I6)."""

    def __init__(self) -> None:
        self._let_in: defaultdict[tuple[int, str, str], list[float]] = defaultdict(list)

    def note(self, life: int, call: Call, at: float, status: int) -> None:
        counts_as = BY_NAME[call.route].counts_as or COUNTS_AS[BY_NAME[call.route].needs]
        if call.tenant and status not in (401, 403, 429):
            self._let_in[life, call.tenant, counts_as].append(at)

    def wrong(self) -> list[str]:
        """Windows of any length with more calls than a full bucket and its filling up let through."""
        found = []
        for (_, tenant, counts_as), moments in self._let_in.items():
            quotas = [quota(tier, counts_as) for tier in TENANTS[tenant]]  # type: ignore[arg-type]
            most = max((q for q in quotas if q is not None), default=None)
            moments.sort()  # they are noted when they are answered
            for i, first in enumerate(moments if most else ()):
                over = [n for n, at in enumerate(moments[i:], 1) if n > most + most * (at - first) / 60 + 1e-6]
                found += [f"I6: {tenant} made {over[0]} {counts_as} calls at once"] if over else []
        return found


def answered(call: Call, answer: Answer) -> list[str]:
    """What is wrong with one answer: an error nobody declared, or what another tenant wrote."""
    route, wrong = BY_NAME[call.route], []
    if answer.status != route.status and answer.status not in REFUSALS[call.route]:
        wrong.append(f"I8: {call.route} answered {answer.status}: {answer.body.decode()[:300]}")
    if answer.status >= 400 and answer.content_type != (JSON if route.for_openai else PROBLEM):
        wrong.append(f"I8: {call.route} answered {answer.status} as {answer.content_type}")
    seen = [tenant for tenant in TENANTS if tenant != call.tenant and canary(tenant).encode() in answer.body]
    wrong += [f"I4: {call.route} of {call.tenant or 'an operator'} showed {tenant}'s text" for tenant in seen]
    if call.foreign and answer.status < 300 and not _never_begun(call, answer):
        wrong.append(f"I4: {call.route} of {call.tenant} took what is another's")
    return wrong


def _never_begun(call: Call, answer: Answer) -> bool:
    """What is told of a session that is not the caller's is logged, not learnt, as of one that never was."""
    return call.route == SESSION_OUTCOME and not answer.json["updated"] and not answer.json["duplicate"]


async def settled(world: World, ledger: Ledger, limits: Limits) -> list[str]:
    """What is wrong once everything is quiet."""
    events = await world.journal.read(0, len(world.disk.rows))
    return [
        *ledger.wrong(events, by_server(events)),
        *await folded(world),
        *[problem for recorded in events if isinstance(recorded.event, Decided) for problem in _drawn(recorded.event)],
        *limits.wrong(),
        *_memory(world, events),
        *_overdue(world),
        *await _owed(world),
        *_series(world),
        *_left_over(world),
    ]


def by_server(events: list[Recorded]) -> list[Effect]:
    """What the first start does by itself, what follows from evidence, and what it sees of the calls that it makes."""
    chats = {r.event.ref for r in events if isinstance(r.event, Decided) and r.event.trace.point == "chat"}
    return [EFFECTS[type(r.event)](r.event) for r in events if _of_its_own(r.event, chats)]


def _of_its_own(event: AnyEvent, chats: set[str]) -> bool:
    match event:
        case TenantSet() | KeyIssued() | PolicySet() | ChallengerEnded() | RolledBack():
            return event.by == ""
        case Reported():  # every client's report on a chat states a success
            return event.trace_id in chats and event.outcome.success is None
    return False


async def folded(world: World) -> list[str]:
    """I2: the journal folds, bit for bit, to what the server has learnt, and to the records it keeps."""
    journal, live = world.journal, world.service.learner.state
    while True:  # windows close meanwhile, too
        again = await refold(journal, journal.last_seq)
        kept = {(tenant, r.trace_id): r async for tenant, r in journal.all_learned(journal.last_seq)}
        if again.state.seq == live.seq == journal.last_seq:
            break
    wrong = [] if again.state.dump() == live.dump() else ["I2: the journal folds to another state"]
    differing = [key for key in sorted(kept.keys() | again.learned.keys()) if kept.get(key) != again.learned.get(key)]
    return wrong + [f"I2: the record of a decision of {tenant} differs" for tenant, _ in differing]


def _drawn(event: Decided) -> list[str]:
    """I5: what was drawn had a probability, and all of them sum to one."""
    return [
        f"I5: {head.head} drew {head.action} with {head.propensity} of {head.probabilities}"
        for head in event.trace.heads
        if not math.isclose(sum(head.probabilities), 1.0, abs_tol=1e-9)
        or not 0.0 < head.propensity <= 1.0
        or head.propensity != head.probabilities[head.actions.index(head.action)]
        or not all(0.0 <= p <= 1.0 for p in head.probabilities)
    ]


def _memory(world: World, events: list[Recorded]) -> list[str]:
    """I7: memory and its indexes hold what was captured and not purged, and what was purged is on the disk no more."""
    live = world.service.memory
    anew = MemoryStore(live.vectorizers)
    anew.embedder = live.embedder
    for recorded in events:
        if recorded.event.kind in MEMORY_KINDS:
            anew.take(recorded)
    wrong = [] if _held(anew) == _held(live) else ["I7: memory holds something else than the journal"]
    kept = [r for r in events if isinstance(r.event, Captured)]
    known = [record for tenant in live.tenants for _, record in live.hygiene.everything(tenant)]
    held = {record.episode.digest: record.episode_id for record in known}
    gone = [r.seq for r in kept if held.get(r.event.episode.digest, r.seq + 1) > r.seq]  # type: ignore[union-attr]
    documents = [record.seq for space in live.passages.spaces() for record in space.documents.values()]
    gone += [r.seq for r in events if isinstance(r.event, DocumentKept) and r.seq not in documents]
    return wrong + [f"I7: event {seq} is on the disk, though it was purged or replaced" for seq in gone]


def _overdue(world: World) -> list[str]:
    """No decision waits for its report past its window, whatever time the others carry."""
    now, rules = world.clock.now(), world.service.rules
    return [
        f"a decision of {tenant} has waited for {now - decision.at:g} s"
        for tenant, fold in world.service.learner.state.tenants.items()
        for decision in fold.credit.open.values()
        if decision.report is None and now - decision.at > 2 * rules.points[decision.point].window_s
    ]


async def _owed(world: World) -> list[str]:
    """Every job was done, replaced by a newer one, given up by name, or is owed still."""
    jobs, kept = world.service.outbox.jobs, await _with_jobs(world)
    added = [event for event in kept if isinstance(event, JobAdded)]
    newest = {(event.work, event.about): event.job_id for event in added}
    ended = {event.job_id: event.given_up for event in kept if isinstance(event, JobEnded)}
    owed = set(newest.values()) - ended.keys()
    done = [event for event in added if event.job_id in ended and ended[event.job_id] is None]
    given_up = [job_id for job_id, why in ended.items() if why is not None]
    named = [gone.job_id for gone in jobs.given_up]
    purged = {event.tenant for event in kept if isinstance(event, EpisodeDeleted)}
    withheld = {
        f"reports_withheld {event.tenant}/{event.by}"
        for event in kept
        if isinstance(event, Reported | Validated) and not event.counts
    }
    return [
        *world.receiver.wrong,
        *([] if owed == jobs.open.keys() else [f"the outbox: {owed ^ jobs.open.keys()} are owed or are not"]),
        *[f"the outbox: {job.job_id} was not done and is not owed" for job in done if not _is_done(world, job, purged)],
        *([] if given_up[-len(named) :] == named else [f"the outbox: {named} are named and {given_up} were given up"]),
        *[f"the outbox: {about} was not told" for about in withheld - {event.about for event in added}],
    ]


def _is_done(world: World, job: JobAdded, purged: set[str]) -> bool:
    """The receiver took it; or the episode has its reflection, or had one that went with what was purged."""
    if job.work == "alarm":
        return job.job_id in world.receiver.taken
    if job.work in ("reuse_check", "skill_text"):
        return True  # or there is no reuse or episode any more, or no money for looking
    tenant, episode_id = job.body["tenant"], job.body["episode_id"]
    episode = world.service.memory.episode(tenant, episode_id)
    return tenant in purged or (episode is not None and (episode.reflection is not None or episode.made.evicted))


async def _with_jobs(world: World) -> list[AnyEvent]:
    """All events, at a moment at which those of the outbox are among them; it works on meanwhile."""
    outbox, disk = world.service.outbox, world.disk
    while True:
        await outbox.flush()
        events = await world.journal.read(0, len(disk.rows))
        if not outbox.unwritten and len(events) == len(disk.rows):
            return [recorded.event for recorded in events]


def _held(memory: MemoryStore) -> dict[Any, Any]:
    return {
        place: (
            sorted((e.episode_id, e.repeats) for e in space.episodes.values()),
            sorted(space.signature_of),
            [_findable(memory, space, name) for name in sorted(memory.vectorizers)],
            _findable(memory, space, None),
        )
        for place, space in memory._spaces.items()
        if space.episodes or space.signatures
    } | {
        ("documents", *place): _kept(memory, space)
        for place, space in memory.passages._spaces.items()
        if space.documents
    }


def _kept(memory: MemoryStore, space: PassageSpace) -> list[Any]:
    """The documents of a space, and the passages that are findable, or are to be embedded yet."""
    ids = {passage_id for record in space.documents.values() for passage_id in record.ids}
    held = {passage_id for index in space.indexes.values() for passage_id in index._exact._row}
    waiting = {stale.passage_id for stale in memory.passages.stale if stale.space is space} & ids
    return [sorted((*name, record.seq) for name, record in space.documents.items()), sorted(held | waiting)]


def _findable(memory: MemoryStore, space: Space, modality: str | None) -> list[int]:
    """The episodes that an index holds, or the signatures, and what came in while it could not be embedded."""
    index = space.indexes.get(modality) if modality else space.signature_index
    waiting = {
        stale.key
        for stale in memory.stale
        if stale.space is space
        and (stale.key in space.episodes and stale.modality == modality if stale.is_episode else modality is None)
    }
    return sorted((set(index._exact._row) if index else set()) | waiting)


def _series(world: World) -> list[str]:
    """I9: names that were new made no new series."""
    families = text_string_to_metric_families(world.service.metrics.text().decode())
    count = sum(len(family.samples) for family in families)
    return [] if count <= SERIES else [f"I9: there are {count} series"]


def _left_over(world: World) -> list[str]:
    """I10: nothing runs and nobody waits whom nobody knows of."""
    service = world.service
    gc.collect()  # an error that nobody was there to hear of is told with what held it
    running = {task.get_name() for task in world.loop.alive if not task.get_name().startswith("driver")}
    waiting = {
        "the learner": service.learner._waiting or service.learner._passing,
        "idempotency": service.idempotency._running,
        "the embedder": service.embedder._waiting,
        "shares": [c for claimed in service.learning._influence._claimed.values() for c in claimed.values() if c],
    }
    return [
        *([f"I10: {running ^ LOOPS} should run or should not"] if running - TRYING != LOOPS else []),
        *[f"I10: somebody waits at {where}" for where, left in waiting.items() if left],
        *([] if service.healthy and service.ready else ["I10: the server is not ready"]),
        *[f"I8: {defect}" for defect in world.loop.defects],
    ]
