"""Metrics and logs. Labels are bounded: never a tenant, a key, a path or a state."""

import logging
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from structlog.typing import EventDict, Processor, WrappedLogger

from .masking import without_secrets

REWARD_BUCKETS = (-1.0, -0.5, -0.2, -0.05, 0.0, 0.2, 0.5, 0.8, 0.95, 1.0)
LATENCY_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SNAPSHOT_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)
SPEED_BUCKETS = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0)
OTHER = "other"  # a provider, model or action that is in no catalogue
LONGEST = 8000  # characters of one value in the log; of a longer one the end is kept, where an error stands
Counted = Counter  # named here so that one file imports the metrics library


class PhaseLatencies(Collector):
    """A histogram by phase, counted in plain numbers: five observations a decision are on the hot path."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}  # per phase, one more than there are bounds
        self._sums: dict[str, float] = {}

    def observe(self, phases_ms: Mapping[str, float]) -> None:
        """Count one decision's phases."""
        for phase, ms in phases_ms.items():
            counts = self._counts.get(phase)
            if counts is None:
                counts = self._counts[phase] = [0] * (len(LATENCY_BUCKETS) + 1)
                self._sums[phase] = 0.0
            seconds = ms / 1000.0
            counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
            self._sums[phase] += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram in Prometheus's cumulative form."""
        family = HistogramMetricFamily(
            "pointsman_decision_latency_seconds", "Time per phase of a decision.", labels=["phase"]
        )
        bounds = [*(str(bound) for bound in LATENCY_BUCKETS), "+Inf"]
        for phase, counts in self._counts.items():
            buckets = list(zip(bounds, accumulate(counts), strict=True))
            family.add_metric([phase], [(bound, float(count)) for bound, count in buckets], self._sums[phase])
        yield family


class Metrics:
    """All metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.decisions = Counter(
            "pointsman_decisions_total",
            "Decisions answered.",
            ["point", "provider", "action", "exploration"],
            registry=r,
        )
        self.decision_latency = PhaseLatencies()
        r.register(self.decision_latency)
        self.q_updates = Counter("pointsman_q_updates_total", "Decisions folded into a table.", registry=r)
        self.rewards = Histogram(
            "pointsman_rewards", "Rewards of learnt decisions.", ["point"], buckets=REWARD_BUCKETS, registry=r
        )
        self.epsilon = Gauge("pointsman_epsilon", "Share of uniform exploration.", ["point"], registry=r)
        self.q_table_size = Gauge("pointsman_q_table_size", "State-action pairs in the tables.", ["point"], registry=r)
        self.signal_hits = Counter("pointsman_signal_cache_hits_total", "Signal reads that were fresh.", registry=r)
        self.signal_misses = Counter("pointsman_signal_cache_misses_total", "Signal reads that were stale.", registry=r)
        self.signal_errors = Counter("pointsman_signal_cache_errors_total", "Signal source failures.", registry=r)
        self.router_errors = Counter("pointsman_router_errors_total", "Downstream router failures.", registry=r)
        self.feedback = Counter("pointsman_feedback_total", "Reports received.", ["outcome"], registry=r)
        self.withheld = Counter(
            "pointsman_feedback_withheld_total", "Reports and validations beyond their key's share.", registry=r
        )
        self.drift_alarms = Counter(
            "pointsman_drift_alarms_total", "Actions whose rewards left their usual level.", ["point"], registry=r
        )
        self.traces = Gauge("pointsman_traces", "Decisions waiting for their reward or successor.", registry=r)
        self.degraded = Counter("pointsman_degraded_total", "Answers given without a part.", ["part"], registry=r)
        self.learner_lag = Gauge("pointsman_learner_lag_events", "Committed events not folded yet.", registry=r)
        self.loop_lag = Histogram(
            "pointsman_event_loop_lag_seconds", "How late a timer of each second was.", buckets=LAG_BUCKETS, registry=r
        )
        self.open_jobs = Gauge("pointsman_outbox_open_jobs", "Jobs of the outbox that are not done yet.", registry=r)
        self.given_up = Gauge("pointsman_outbox_given_up_jobs", "Jobs that were given up, ever.", ["work"], registry=r)
        self._count_shared()
        self._count_providers()
        self.budget_used = Gauge(
            "pointsman_budget_used_ratio", "Share of the most used limit.", ["scope", "period"], registry=r
        )
        self.reserved = Gauge("pointsman_budget_reserved_usd", "Held for calls under way, all tenants.", registry=r)
        self.unreconciled = Gauge(
            "pointsman_budget_unreconciled", "Calls charged whole that nobody has reconciled.", registry=r
        )
        self.spent = Gauge("pointsman_spent_usd", "What calls of models cost, ever.", ["tier"], registry=r)
        self.reuses_checked = Counter(
            "pointsman_reuses_checked_total", "Reused reflections that were checked.", ["outcome"], registry=r
        )
        self.errors = Counter("pointsman_errors_total", "Problem answers.", ["code"], registry=r)

    def _count_shared(self) -> None:
        """Of what replicas share."""
        r = self.registry
        self.snapshot_lag = Histogram(
            "pointsman_snapshot_lag_seconds",
            "From an event's making at any replica to its fold at this one.",
            buckets=SNAPSHOT_BUCKETS,
            registry=r,
        )
        self.lease_held = Gauge("pointsman_lease_held", "1 where this process acts for all replicas.", registry=r)
        self.redis_away = Gauge("pointsman_redis_away", "1 while Redis is asked for and does not answer.", registry=r)
        self.broker_away = Gauge("pointsman_broker_away", "1 while the broker cannot be reached.", registry=r)
        self.broker_messages = Counter(
            "pointsman_broker_messages_total", "Messages the broker acknowledged.", ["outcome"], registry=r
        )

    def _count_providers(self) -> None:
        """Of calls to language models."""
        r, which = self.registry, ["provider", "model"]
        self.provider_calls = Counter(
            "pointsman_provider_calls_total", "Tries of calls to providers.", [*which, "outcome"], registry=r
        )
        self.provider_latency = Histogram(
            "pointsman_provider_latency_seconds", "Time per try.", which, buckets=CALL_BUCKETS, registry=r
        )
        self.provider_throughput = Histogram(
            "pointsman_provider_tokens_per_second", "Speed of answers.", which, buckets=SPEED_BUCKETS, registry=r
        )
        self.provider_tokens = Counter(
            "pointsman_provider_tokens_total", "Tokens as providers count them.", [*which, "kind"], registry=r
        )
        self.provider_untold = Counter(
            "pointsman_provider_untold_total", "Answers whose usage cannot be trusted.", which, registry=r
        )

        self.completion_hits = Counter(
            "pointsman_completion_cache_hits_total", "Completions that were kept, or under way.", registry=r
        )
        self.completion_misses = Counter(
            "pointsman_completion_cache_misses_total", "Completions that could be kept, and were not.", registry=r
        )
        self.completion_bytes = Gauge("pointsman_completion_cache_bytes", "Completions that are kept.", registry=r)

    def text(self) -> bytes:
        return generate_latest(self.registry)


def configure_logging(level: str) -> None:
    """One JSON line per event on standard error, other libraries' warnings included, and no secret in any of them."""
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info, _masked, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=chain + last,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[others], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


def _masked(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Errors of other libraries quote addresses, with whoever asks and what is asked for."""
    return {name: _bounded(value) if isinstance(value, str) else value for name, value in event.items()}


def _bounded(text: str) -> str:
    return without_secrets(text[-LONGEST:])
