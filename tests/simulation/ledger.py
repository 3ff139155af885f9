"""What was asked and what was answered, in effects on the journal: each that was told of must be there exactly once."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from auditor.events import (
    Answered,
    Captured,
    Checkpointed,
    CheckpointsPruned,
    Configured,
    Decided,
    EpisodeDeleted,
    JobAdded,
    JobEnded,
    JobFailed,
    JobLeased,
    KeyEnds,
    KeyIssued,
    Purged,
    Received,
    Recorded,
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
from auditor.fold import LATE
from auditor.hygiene_events import EpisodeReturned, EpisodesArchived, Quarantined, QuarantineLifted
from auditor.money_events import BudgetSet, Reconciled, Released, Reserved, Settled
from auditor.passage_events import DocumentKept, DocumentsDropped, OriginRegistered
from auditor.policy_events import Appealed, AppealRuled, ChallengerEnded, ChallengerSet, PolicySet, Promoted, RolledBack
from auditor.ranker_events import RankerSet
from auditor.reflection_events import Reflected, ReflectionEvicted, ReuseChecked
from auditor.session_events import Queried, SessionReported
from auditor.skill_events import SkillDescribed
from auditor.webhook_events import WebhookRemoved, WebhookSet
from controlplane.learning import UNLEARNT

REPLACED = ("document",)  # effects that a later one takes away; an oracle of their own looks at what is left
MOMENTARY = ("policy_version", "q_updates", "active_keys")
Effect = tuple[Any, ...]


def outcome_of(outcome: Any) -> bytes:
    """A report as it can be compared."""
    return msgspec.json.encode(outcome, order="sorted")


# What an event is the effect of, as a request's own words say it.
EFFECTS: dict[type[Any], Callable[[Any], Effect]] = {
    Decided: lambda e: ("decision", e.tenant, called(e.trace.request)),
    Reported: lambda e: ("feedback", e.tenant, e.trace_id, outcome_of(e.outcome)),
    Validated: lambda e: ("validation", e.tenant, e.episode_id, e.trace_id, e.success),
    Captured: lambda e: ("capture", e.tenant, e.episode.custom["call"]),
    EpisodeDeleted: lambda e: ("purge", e.tenant, e.episode_id),
    ReflectionEvicted: lambda e: ("evicted", e.tenant, e.reflection_id),
    DocumentKept: lambda e: ("document", e.tenant, e.document.key, e.document.version),
    DocumentsDropped: lambda e: ("drop", e.tenant, e.namespace, e.origin, e.key),
    OriginRegistered: lambda e: ("origin", e.tenant, e.origin, e.what, e.license),
    Quarantined: lambda e: ("quarantine", e.tenant, e.key_id, e.why),
    QuarantineLifted: lambda e: ("quarantine lifted", e.quarantine_id),
    WebhookSet: lambda e: ("webhook", e.tenant, e.url),
    WebhookRemoved: lambda e: ("webhook removed", e.tenant, e.webhook_id),
    SkillRetired: lambda e: ("retire", e.tenant, e.skill_id, e.reason),
    SessionReported: lambda e: ("outcome", e.tenant, e.session_id, e.success, e.contribution),
    Checkpointed: lambda e: ("checkpoint", e.tenant, e.name),
    Restored: lambda e: ("restore", e.tenant, e.checkpoint_id),
    CheckpointsPruned: lambda e: ("prune", e.tenant),
    Appealed: lambda e: ("appeal", e.tenant, e.trace_id, e.reason),
    AppealRuled: lambda e: ("ruling", e.tenant, e.trace_id, e.upheld, e.why),
    ChallengerSet: lambda e: ("challenger", e.tenant, e.point, e.share, e.why),
    ChallengerEnded: lambda e: ("challenger ends", e.tenant, e.point, e.why),
    Promoted: lambda e: ("promoted", e.tenant, e.point, e.why),
    RolledBack: lambda e: ("rolled back", e.tenant, e.point, e.why),
    Federated: lambda e: ("federated", e.tenant, e.entry.origin, e.entry.seq, e.why),
    OriginForgotten: lambda e: ("forgotten", e.tenant, e.point, e.origin, e.why),
    BudgetSet: lambda e: ("budget", e.tenant, e.scope, e.name, e.period, e.why),
    Reconciled: lambda e: ("reconciled", e.reservation_id, e.why),
    PolicySet: lambda e: ("policy", e.tenant, e.point, e.why),
    TenantSet: lambda e: ("tenant", e.tenant, e.tier, e.fail_mode),
    KeyIssued: lambda e: ("key", e.tenant, e.name),
    KeyEnds: lambda e: ("key ends", e.tenant, e.key_id),
}
# Events that no request asks for, and who writes them.
UNASKED: dict[type[Any], str] = {
    SignatureSeen: "beside a decision, when its signature is new",
    WindowClosed: "the background, when a decision's time is over",
    TrajectoryClosed: "the background, when a task's time is over",
    Configured: "a start, when the rules are new",
    Received: "before the effect of a keyed request",
    Answered: "after the effect of a keyed request",
    **dict.fromkeys((Reserved, Settled, Released), "whoever spends money, which an oracle of its own looks at"),
    Reflected: "whoever reflects, which an oracle of its own looks at",
    ReuseChecked: "beside a reflection, or when a reuse was drawn to be checked",
    SkillDescribed: "whoever puts skills into words",
    Queried: "beside the answer to a query; asked again, it begins another session",
    RankerSet: "the ranker, when its weights are better; or asked for, when shipped ones are put back",
    EpisodeReturned: "beside a validation, or asked for, when its episode was archived",
    EpisodesArchived: "the background, when nobody came back to a memory for long",
    Purged: "in the place of what was purged",
    **dict.fromkeys((JobAdded, JobLeased, JobFailed, JobEnded), "the outbox, which an oracle of its own looks at"),
}


def called(request: Any) -> Any:
    """The number of the call that a decision was asked with; a reflection has no other place for it than its task."""
    fields = request if isinstance(request, dict) else msgspec.to_builtins(request)
    return fields.get("metadata", {}).get("call") or fields.get("task_id")


class Entry(msgspec.Struct, kw_only=True):
    """A request, however often it was sent under its key."""

    effects: tuple[Effect, ...]
    told: Any = None  # the answer that said it was done
    unheard: bool = False  # it may have been done: the answer never came
    remembered: tuple[str, int] | None = None  # tenant and episode, which a purge takes away


class Ledger:
    """Everything that was sent, and what is to be found because of it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def wrong(self, events: Iterable[Recorded], by_server: Iterable[Effect]) -> list[str]:
        """Effects that are missing, doubled, or that nobody asked for (I1)."""
        everything = list(events)
        operators = {r.event.key_id for r in everything if isinstance(r.event, KeyIssued) and r.event.tenant == ""}
        asked_for = [r.event for r in everything if type(r.event) in EFFECTS and not _follows(r.event, operators)]
        found = Counter(EFFECTS[type(event)](event) for event in asked_for)
        found.subtract(by_server)
        purged = _purged(everything)
        least: Counter[Effect] = Counter()
        most: Counter[Effect] = Counter()
        for entry in self.entries:
            sure = entry.told is not None and entry.remembered not in purged
            least.update([effect for effect in entry.effects * sure if effect[0] not in REPLACED])
            most.update(entry.effects * (entry.told is not None or entry.unheard))
        return [
            f"I1: {effect} is there {found[effect]} times; told {least[effect]}, asked {most[effect]}"
            for effect in sorted(found.keys() | least.keys(), key=repr)
            if not least[effect] <= found[effect] <= most[effect]
        ] + _apart(everything)


def _follows(event: Any, operators: set[str]) -> bool:
    """A chat is decided again where a model failed, a capture decides who reflects on it; operators purge by key.

    What comes of a session counts for the patches that it used.
    """
    if isinstance(event, EpisodeDeleted):
        return event.by in operators
    if isinstance(event, Validated):
        return not event.origin
    if not isinstance(event, Decided):
        return False
    return _at_capture(event) or (event.trace.point == "chat" and event.trace.previous_trace_id is not None)


def _at_capture(event: Decided) -> bool:
    return event.trace.point == "capture"


def _apart(events: list[Recorded]) -> list[str]:
    """What a capture decides stands behind it: both are there, or neither."""
    pairs = zip([None, *events], events, strict=False)
    decided = [(first, then) for first, then in pairs if isinstance(then.event, Decided) and _at_capture(then.event)]
    return [
        f"I1: the decision {then.seq} of a capture is not behind it"
        for first, then in decided
        if first is None or not isinstance(first.event, Captured | Purged) or first.event.tenant != then.event.tenant
    ]


def _purged(events: list[Recorded]) -> set[tuple[str, int]]:
    """What is gone, by tenant and number, and before a purge of the tenant, which may have been of what it repeats."""
    last = {r.event.tenant: r.seq for r in events if isinstance(r.event, EpisodeDeleted)}
    gone = [(r.event.tenant, r.seq) for r in events if isinstance(r.event, Purged)]
    return {(tenant, seq) for tenant, seq in gone if seq < last.get(tenant, 0)}


def steady(answer: Any) -> Any:
    """An answer without what tells of its moment: where the journal refused to keep one, it is made again.

    Why a report came too late is such a thing: a decision that was closed then may have been unlearnt and learnt anew.
    """
    if not isinstance(answer, dict):
        return answer
    late = {"reason": "late"} if answer.get("reason") in (LATE, UNLEARNT) else {}
    return {name: value for name, value in (answer | late).items() if name not in MOMENTARY}
