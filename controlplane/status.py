"""What an operator sees: the service at a glance, each point's policy, and a decision in full."""

import sqlite3
from typing import Any, get_args

import msgspec

from auditor import PointRules
from auditor.counts import PointCounts
from auditor.events import AnyEvent
from auditor.fold import TenantFold
from auditor.money_events import Tier
from auditor.override import Override
from auditor.reuse import measured
from strategist import Policy

from . import __version__, broker, challengers, failpoints
from .contract import AuditAnswer, ChallengerAnswer, ComparisonAnswer
from .errors import UnknownPoint
from .journal import versions
from .learning import WholeTrace, explain
from .memory.hosted import HostedVectors
from .memory.index import Spaces
from .policies import told_of
from .purse import Purse
from .service import Service
from .telemetry import Metrics

KEYLESS = "none are read (--insecure-local): every caller is the tenant `default`, and only loopback is listened on"
MOST_CLASSES = 50  # of a tenant's error classes are told of


class ImportedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How much of other origins is read at a point."""

    origins: int
    cells: int


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One decision point: how it acts, how it learns, and how often it did."""

    point: str
    mode: str
    epsilon: float
    updates: int
    q_table_size: int
    state_action_pairs: int
    spec_hash: str
    rules: PointRules  # in force: the settings', and what was set in their place
    version: int  # of the event that set the policy last; 0: nothing was ever set
    set: Override
    set_at: float | None
    set_by: str | None
    set_why: str | None
    table_over_rule: ComparisonAnswer | None  # of an apprentice: by how much its table is better than the rule
    challenger: ChallengerAnswer | None  # or the former champion
    imported: ImportedAnswer
    audited: AuditAnswer | None  # at the gate: blocks at low risk that were let through, and how many were false
    counts: PointCounts
    agreement: float | None  # share of decisions in which the policy did what the fixed rule says


def describe_points(service: Service, tenant: str) -> list[PolicyAnswer]:
    return [describe_policy(service, tenant, point) for point in sorted(service.plane.points)]


def describe_policy(service: Service, tenant: str, point: str) -> PolicyAnswer:
    """Raises UnknownPoint."""
    if point not in service.plane.points:
        raise UnknownPoint
    fold, steered = service.learner.state.of(tenant), service.learner.state.steering.at(tenant, point)
    policy, counts, rules = fold.policies[point], fold.counts[point], fold.rules.points[point]
    ruled = point in ("gate", "capture") and counts.decisions
    return PolicyAnswer(
        point=point,
        mode=policy.settings.mode,
        epsilon=policy.epsilon,
        updates=policy.updates,
        q_table_size=len(policy.table),
        state_action_pairs=policy.table.pairs,
        spec_hash=rules.spec_hash,
        rules=rules,
        version=steered.version,
        set=steered.override,
        set_at=steered.at if steered.version else None,
        set_by=steered.by if steered.version else None,
        set_why=steered.why if steered.version else None,
        table_over_rule=told_of(fold, point),
        challenger=challengers.describe(fold, point),
        imported=_imported(fold, point),
        audited=_audited(fold) if point == "gate" else None,
        counts=counts,
        agreement=round(counts.agreed_with_rule / counts.decisions, 4) if ruled else None,
    )


def _imported(fold: TenantFold, point: str) -> ImportedAnswer:
    events = fold.imported.get(point, {}).values()
    return ImportedAnswer(origins=len(events), cells=sum(len(event.entry.cells) for event in events))


def _audited(fold: TenantFold) -> AuditAnswer:
    found = fold.proof.false_blocks
    low, high = found.interval
    return AuditAnswer(
        let_through=found.let_through,
        known=found.known,
        false_block_rate=None if found.rate is None else round(found.rate, 4),
        low=round(low, 4),
        high=round(high, 4),
    )


def describe_status(service: Service, tenant: str) -> dict[str, Any]:
    """The Aurora seed's fields, then ours."""
    fold = service.learner.state.of(tenant)
    return {
        "uptime_seconds": round(service.clock.monotonic() - service.started_at, 3),
        "healthy": service.healthy,
        "ready": service.ready,
        "model": _model(service, fold),
        "cache": _cache(service),
        "points": {answer.point: _point(answer) for answer in describe_points(service, tenant)},
        "journal": _journal(service),
        "intake": {
            "shedding": service.intake.shedding,
            "refused": service.intake.refused,
            "under_way": service.intake.under_way,
        },
        "recovery": {
            "files": [path.name for path in service.recovery.files()],
            "damaged": service.recovery.damaged,
            "trouble": service.recovery.trouble,
        },
        "outbox": _outbox(service),
        "broker": _broker(service),
        "budget": _budget(service, tenant),
        "reuse": _reuse(service, tenant),
        "redis": service.redis and {"trouble": service.redis.trouble, "replicas": service.redis.replicas},
        "vectors": _vectors(service.memory.vectors),
        "embedder": service.embedder.state,
        "memory": service.memory.counts(fold.tenant),
        "modalities": {
            name: {"model": of.model, "dimension": of.dimension, "source": of.source}
            for name, of in service.memory.vectorizers.items()
        },
        "failpoints": failpoints.on(),
        "appeals": len(service.learner.state.appeals.of(fold.tenant)),
        "open_decisions": len(fold.credit.open),
        "drift": service.learner.state.drift.standing(fold.tenant),
        "keys": KEYLESS if service.settings.insecure_local else "every call needs one",
        "versions": {
            "pointsman": __version__,
            "sqlite": sqlite3.sqlite_version,
            "settings_hash": service.settings.hash,
            "policy_version": service.learner.version,
        },
    }


def _journal(service: Service) -> dict[str, Any]:
    journal = service.journal
    return {
        "last_seq": journal.last_seq,
        "learner_lag": _lag(service),
        "trouble": journal.trouble,
        "shared": journal.shared,
        "leads": journal.leads,
        "lag_s": round(journal.lag_s, 3),
        "warning": None if journal.shared else versions.warning(sqlite3.sqlite_version_info),
    }


def _outbox(service: Service) -> dict[str, Any]:
    outbox = service.outbox
    return {
        "open": len(outbox.jobs.open),
        "failing": sum(job.why is not None for job in outbox.jobs.open.values()),
        "unwritten": outbox.unwritten,
        "left_out": outbox.left_out,
        "given_up": list(outbox.jobs.given_up),
    }


def _broker(service: Service) -> dict[str, Any] | None:
    if service.broker is None:
        return None
    jobs, work = service.outbox.jobs, broker.WORK
    return {
        "trouble": service.broker.stream.trouble,
        "waiting": jobs.count[work],
        "given_up": jobs.given_up_ever[work],
    }


def _vectors(spaces: Spaces) -> dict[str, Any] | None:
    """Of a server beside the process; what kind of trouble it is, without addresses."""
    if not isinstance(spaces, HostedVectors):
        return None
    return {"trouble": spaces.trouble and spaces.trouble.partition(":")[0], "waiting": spaces.waiting}


def _budget(service: Service, tenant: str) -> dict[str, Any]:
    purse = Purse(service)
    today = purse.spent_today(tenant)
    unreconciled = service.learner.state.ledger.unreconciled.values()
    return {
        "spent_today_usd": today.spent / 1e9,
        "reserved_usd": today.reserved / 1e9,
        "near": purse.near(tenant),
        "unreconciled": sum(held.tenant == tenant for held in unreconciled),
    }


def _reuse(service: Service, tenant: str) -> list[dict[str, Any]]:
    """The error classes whose reflections were reused or nearly so, the newest check first."""
    reuse = service.learner.state.reuse
    rows = []
    for error_class in reuse.classes(tenant)[:MOST_CLASSES]:
        found = measured(reuse.of(tenant, error_class))
        row = {
            "error_class": error_class,
            "threshold": service.reuses.threshold(tenant, error_class) / 100,
            "checked": found.checked,
            "wrong": found.wrong,
            "rate": None if found.rate is None else round(found.rate, 4),
            "at_most": round(found.at_most, 4),
        }
        rows.append(row)
    return rows


def _model(service: Service, fold: TenantFold) -> dict[str, Any]:
    policies = list(fold.policies.values())
    route = fold.policies["route"]
    return {
        "episodes": service.memory.counts(fold.tenant)["episodes"],
        "updates": sum(p.updates for p in policies),
        "epsilon": route.epsilon,
        "alpha": service.settings.alpha,
        "step": _step(route),
        "gamma": service.settings.gamma,
        "q_table_size": sum(len(p.table) for p in policies),
        "total_state_action_pairs": sum(p.table.pairs for p in policies),
    }


def _step(policy: Policy) -> str:
    step = policy.settings.step
    if step.alpha is not None:
        return f"constant {step.alpha:g}"
    return f"max({step.floor:g}, 1/(1 + visits)^{step.omega:g})"


def _cache(service: Service) -> dict[str, Any]:
    signals, counts = service.signals, service.signals.counts
    asked = counts.hits + counts.misses
    return {
        "cache_hits": counts.hits,
        "cache_misses": counts.misses,
        "cache_errors": counts.errors,
        "cache_hit_rate": round(counts.hits / asked, 4) if asked else 0.0,
        "cache_age_seconds": signals.age_s,
        "cache_valid": signals.fresh,
        "cache_ttl": signals.ttl_s,
    }


def _point(answer: PolicyAnswer) -> dict[str, Any]:
    return {
        "mode": answer.mode,
        "epsilon": answer.epsilon,
        "updates": answer.updates,
        "decisions": answer.counts.decisions,
        "agreement": answer.agreement,
        "interventions": answer.counts.interventions,
        "interventions_by_exploration": answer.counts.interventions_by_exploration,
        "audited": answer.audited,
        "imported": answer.imported,
    }


def _lag(service: Service) -> int:
    return service.journal.last_seq - service.learner.version


def refresh_metrics(service: Service) -> None:
    """Set the gauges that follow from state to what they are now, over all tenants."""
    folds, metrics = list(service.learner.state.tenants.values()), service.metrics
    for point in service.plane.points:
        policies = [fold.policies[point] for fold in folds]
        metrics.epsilon.labels(point).set(max((policy.epsilon for policy in policies), default=0.0))
        metrics.q_table_size.labels(point).set(sum(policy.table.pairs for policy in policies))
    metrics.traces.set(sum(len(fold.credit.open) for fold in folds))
    metrics.learner_lag.set(_lag(service))
    metrics.lease_held.set(service.journal.leads)
    metrics.completion_bytes.set(service.chat.completions.size)
    metrics.redis_away.set(service.redis is not None and service.redis.trouble is not None)
    jobs = service.outbox.jobs
    metrics.open_jobs.set(len(jobs.open))
    for work, given_up in jobs.given_up_ever.items():
        metrics.given_up.labels(work).set(given_up)
    metrics.broker_away.set(service.broker is not None and service.broker.stream.trouble is not None)
    _refresh_money(service, metrics)


def _refresh_money(service: Service, metrics: Metrics) -> None:
    ledger = service.learner.state.ledger
    metrics.reserved.set(sum(held.nano_usd for held in ledger.held.values()) / 1e9)
    metrics.unreconciled.set(len(ledger.unreconciled))
    metrics.budget_used.clear()  # a limit that was taken away is no part of it any more
    for (scope, period), share in Purse(service).most_used().items():
        metrics.budget_used.labels(scope, period).set(share)
    for tier in get_args(Tier):
        accounts = (account for (kind, _, name), account in ledger.accounts.items() if (kind, name) == ("tier", tier))
        metrics.spent.labels(tier).set(sum(account.total.spent for account in accounts) / 1e9)


def _act(event: AnyEvent) -> dict[str, Any]:
    """An appeal or a ruling, as it was given."""
    return {name: getattr(event, name) for name in event.__struct_fields__ if name not in ("tenant", "trace_id")}


def describe_trace(whole: WholeTrace) -> dict[str, Any]:
    """The journalled decision with its feedback, reward and update."""
    learned = whole.learned
    return {
        "seq": whole.seq,
        "at": whole.at,
        **msgspec.structs.asdict(whole.trace),
        "action": whole.trace.action,
        "tier": whole.trace.tier,
        "propensity": whole.trace.propensity,
        "reflection": whole.reflection,
        "feedback": [{"at": event.at, "outcome": event.outcome} for event in whole.feedback],
        "appeal": [_act(event) for event in whole.appeal],
        "pending": whole.pending,
        "reward": explain(learned.report) if learned and learned.report else None,
        "update": learned.update if learned else None,
        "not_learnt": learned.reason if learned else None,
    }
