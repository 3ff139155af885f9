"""What operators did, read from the journal: who did what, when, to what; no key, no digest, no text of a tenant's."""

from typing import Any

from auditor.events import (
    AnyEvent,
    Checkpointed,
    CheckpointsPruned,
    EpisodeDeleted,
    KeyEnds,
    KeyIssued,
    Recorded,
    Restored,
    SkillRetired,
    TenantSet,
)
from auditor.federation_events import Federated, OriginForgotten
from auditor.hygiene_events import EpisodeReturned, Quarantined, QuarantineLifted
from auditor.money_events import BudgetSet, Reconciled
from auditor.passage_events import DocumentsDropped, OriginRegistered, document_ref
from auditor.policy_events import AppealRuled, ChallengerEnded, ChallengerSet, PolicySet, Promoted, RolledBack
from auditor.ranker_events import RankerSet
from auditor.reflection_events import ReflectionEvicted
from auditor.webhook_events import WebhookRemoved, WebhookSet

from .contract import ActAnswer
from .journal import Journal
from .journal.port import ALL
from .tenants import OPERATOR

MOST = 500  # acts of one page


async def acts(journal: Journal, tenant: str | None, before: int, limit: int) -> list[ActAnswer]:
    """The last acts before an event's number, newest first; of one tenant, or of all and of nobody's."""
    return [_told(recorded) for recorded in reversed(await journal.acts(tenant or ALL, before, limit))]


def _told(recorded: Recorded) -> ActAnswer:
    event = recorded.event
    about, details = _what(event)
    return ActAnswer(
        seq=recorded.seq,
        at=event.at,
        act=event.kind,
        tenant=None if event.tenant == OPERATOR else event.tenant,
        about=about,
        by=getattr(event, "by", ""),
        details=details,
    )


def _what(event: AnyEvent) -> tuple[str, dict[str, Any]]:
    """What the act was about, and what of it may be told: names that operators gave, numbers, ids."""
    match event:
        case TenantSet():
            return event.tenant, {"tier": event.tier, "fail_mode": event.fail_mode}
        case KeyIssued():
            told = {"kind": event.key_kind, "name": event.name, "scopes": event.scopes, "ends_at": event.ends_at}
            return event.key_id, told
        case KeyEnds():
            return event.key_id, {"ends_at": event.ends_at}
        case PolicySet():
            return event.point, {"mode": event.override.mode, "guards": len(event.override.guards)}
        case ChallengerSet():
            return event.point, {"share": event.share, "checkpoint": event.spec.checkpoint_id}
        case ChallengerEnded():
            return event.point, {"outcome": event.outcome}
        case Promoted() | RolledBack():
            return event.point, {}
        case Federated():
            entry = event.entry
            told = {"point": entry.point, "seq": entry.seq, "cells": len(entry.cells), "sha256": entry.sha256}
            return entry.origin, told
        case OriginForgotten():
            return event.origin, {"point": event.point}
        case BudgetSet():
            told = {"scope": event.scope, "period": event.period, "nano_usd": event.nano_usd}
            return event.name or event.scope, told
        case Reconciled():
            return event.reservation_id, {"nano_usd": event.nano_usd}
        case AppealRuled():
            return event.trace_id, {"upheld": event.upheld}
        case EpisodeDeleted() | EpisodeReturned():
            return str(event.episode_id), {}
        case DocumentsDropped():
            about = "" if event.key is None else document_ref(event.namespace, event.origin, event.key)
            return about, {"whole_origin": event.key is None}
        case OriginRegistered():
            return "", {}
        case Quarantined():
            return event.key_id, {"since": event.since, "until": event.until}
        case QuarantineLifted():
            return str(event.quarantine_id), {}
        case RankerSet():
            return "", {"weights": event.weights}
        case WebhookSet():
            return event.webhook_id, {"kinds": event.kinds}
        case WebhookRemoved():
            return event.webhook_id, {}
        case ReflectionEvicted():
            return event.reflection_id, {}
        case SkillRetired():
            return str(event.skill_id), {}
        case Checkpointed():
            return event.checkpoint_id, {"seq": event.seq, "size_bytes": event.size_bytes}
        case Restored():
            return event.checkpoint_id, {"seq": event.seq}
        case CheckpointsPruned():
            return "", {"checkpoint_ids": event.checkpoint_ids, "freed_bytes": event.freed_bytes}
    raise TypeError(f"{event.kind} is no act")
