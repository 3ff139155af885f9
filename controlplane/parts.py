"""Every part of one running Pointsman, made and handed what it needs. Whoever holds them starts and stops them."""

from collections.abc import Callable, Mapping
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx

from auditor import Learner, State
from auditor.protocols import PrefixStore

from .administration import Administration
from .alarms import LABEL, Alarms, Sender
from .appeals import Appeals
from .background import Background
from .broker import Broker
from .budgets import Budgets
from .cache import Cache, MemoryCache
from .carrying import Carrying
from .challengers import Challengers
from .chat import Chat
from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles, RecoveryFiles
from .clock import Clock
from .describing import Describes, Descriptions
from .embedders import Embedders
from .embedding import BatchingEmbedder, VectorCache
from .embedding.vector_cache import TTL_S as VECTOR_TTL_S
from .evictions import Evictions
from .executor.capture import CapturePoint
from .executor.chat import ChatPoint, Conversations
from .executor.gate import GatePoint
from .executor.route import RoutePoint
from .failed_fixes import FailedFixes
from .federation import Federation
from .forgetting import Forgetting
from .hygiene import Hygiene
from .idempotency import Idempotency
from .intake import Intake
from .jetstream import JetStream
from .journal import Journal
from .learning import Learning
from .library import Library
from .licences import Denylist
from .lifecycle import Lifecycle
from .llm.cache import MOST_BYTES, TTL_S, Completions
from .llm.models import Models
from .llm.provider import Provider
from .memory.hosted import HostedVectors, VectorServer
from .memory.servers import spaces_of
from .memory.store import MemoryStore
from .memory.vectorizers import vectorizers
from .news import Bus
from .origin import Origin
from .outbox import DEADLINE_S, Deed, Outbox
from .plane import Plane
from .policies import Policies
from .ranker import Ranker
from .rechecks import Rechecks
from .redis import Link, RedisCache
from .reflections import Reflections, Reflects
from .refold import BEGINNING, Prefixes
from .remembering import Remembering
from .replay.jobs import Replays
from .retrieving import Retrieving
from .reuse import Reuses
from .router import Router
from .rulebook import rules_of
from .settings import Settings
from .signals import Signals
from .telemetry import Metrics
from .tenants import Limiter, MemoryLimiter, RedisLimiter, Registry
from .thinking import DecisionThinking
from .tiering import Tiering
from .upstream import Upstream
from .webhooks import Webhooks

SHARED = "pointsman redis 1"
if TYPE_CHECKING:
    from .replication import Replication


class Ways(NamedTuple):
    """Ways out of this process, where they are other ones than the network to what the settings name."""

    transport: httpx.AsyncBaseTransport | None = None
    providers: Mapping[str, Provider] | None = None
    redis: Callable[[str], Link] | None = None  # by what begins every key
    vectors: VectorServer | None = None
    broker: JetStream | None = None


NETWORK = Ways()


class Parts:
    """All of them."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        state: State,
        recovery: RecoveryFiles,
        registry: Registry,
        clock: Clock,
        origin: Origin = BEGINNING,
        ways: Ways = NETWORK,
    ) -> None:
        self.settings, self.journal, self.clock, self.recovery = settings, journal, clock, recovery
        self.registry, self.intake, self.started_at = registry, Intake(clock), clock.monotonic()
        self.metrics, self.http = Metrics(), httpx.AsyncClient(follow_redirects=False, transport=ways.transport)
        self._make_shared(settings.redis_url, ways.redis)
        self.embedders = Embedders(settings, clock, self.metrics)
        denied = Denylist(settings.license_denylist or "")
        spaces = spaces_of(settings) if ways.vectors is None else HostedVectors(ways.vectors)
        self.memory = MemoryStore(vectorizers(self.embedder, settings), denied, spaces)
        self.checkpoints = self._make_checkpoints()
        self.prefixes = Prefixes(journal, self.checkpoints, origin)
        self.learner = Learner(state, journal, journal, self._for_the_fold(self.prefixes))
        self.idempotency = Idempotency(self.learner, journal, clock)
        self._make_askers(ways.providers)
        self._make_points()
        self._make_memory()
        self._make_operators()
        self._make_owed(ways.broker)
        self.background = self._make_background()

    def _make_shared(self, redis_url: str | None, way: Callable[[str], Link] | None) -> None:
        """What replicas share where there is a Redis: how often who called, completions, vectors."""
        completions: Cache = MemoryCache(self.clock, MOST_BYTES, TTL_S)
        self.limiter: Limiter = MemoryLimiter(self.clock)
        self.redis, vectors = None, None
        if redis_url is not None:
            secret = self.registry.derived(SHARED)
            namespace = f"pointsman:{blake2b(secret, digest_size=8).hexdigest()}"
            self.redis = link = (way or partial(Link, redis_url))(namespace)
            self.limiter = RedisLimiter(link, self.clock, self.metrics)
            completions = RedisCache(link, secret, "completion", TTL_S)
            vectors = VectorCache(RedisCache(link, secret, "vector", VECTOR_TTL_S))
        self.completions, self.embedder = Completions(completions, self.metrics), BatchingEmbedder(vectors)

    def _make_askers(self, providers: Mapping[str, Provider] | None) -> None:
        """Who asks models, and pays for it."""
        learner, journal, memory, settings, clock = self.learner, self.journal, self.memory, self.settings, self.clock
        self.models = Models(settings, clock, self.metrics, providers)
        self.catalogue, self.budgets = self.models.catalogue, Budgets(learner, journal, self.registry, clock)
        self.reuses = Reuses(learner, memory, self.embedder, settings.wrong_reuse_target, settings.seed)
        self.reflects = Reflects(learner, journal, memory, self.reuses, self.models, self.budgets, clock)
        self.rechecks = Rechecks(learner, journal, memory, self.reuses, self.models, self.reflects, clock)
        self.describes = Describes(learner, journal, memory, self.models, self.reflects, clock)
        self.evictions = Evictions(learner, journal, memory, clock)

    def _make_points(self) -> None:
        """The points, and the two loops."""
        settings, clock, conversations = self.settings, self.clock, Conversations()
        upstream = Upstream(self.http, deadline_s=settings.upstream_deadline_s)
        self.signals = Signals(settings.psi_url, upstream, clock, self.metrics, ttl_s=settings.cache_ttl_s)
        self.router = Router(settings.router_url, upstream, self.metrics)
        self.thinking = DecisionThinking(self.reflects, self.intake)
        asked = (
            GatePoint(self.memory, self.embedder, self.thinking, settings),
            RoutePoint(self.signals, self.router, self.embedder),
            ChatPoint(self.models, self.budgets, conversations, self.embedder),
        )
        capture = CapturePoint()
        self.specs = {point.name: point.features.spec for point in (*asked, capture)}
        self.rules = rules_of(settings, {point: spec.hash for point, spec in self.specs.items()})
        self.plane = Plane(asked, (capture,), self.learner, self.journal, clock, settings, self.metrics)
        self.tiering = Tiering(self.plane, capture, self.reflects, clock)
        failed_fixes = FailedFixes(self.learner, self.journal, self.memory, self.embedder, clock)
        self.learning = Learning(self.learner, self.journal, self.memory, failed_fixes, clock, self.metrics)
        self.chat = Chat(
            self.models,
            self.budgets,
            self.plane,
            self.learning,
            conversations,
            self.completions,
            clock,
            settings.chat_deadline_s,
        )

    def _make_memory(self) -> None:
        """What clients do to memory, and what it returns."""
        held = (self.learner, self.journal, self.memory, self.embedder)
        clock = self.clock
        self.remembering = Remembering(*held, self.tiering, clock)
        self.library = Library(*held, clock)
        self.retrieving = Retrieving(*held, clock, self.settings)
        self.ranker = Ranker(self.learner, self.journal, clock, self.settings)
        self.hygiene = Hygiene(self.learner, self.journal, self.memory, self.registry, clock)
        days = self.settings.archive_after_days
        self.forgetting = Forgetting(self.learner, self.journal, self.memory, clock, days)

    def _make_operators(self) -> None:
        """What operators do."""
        learner, journal, clock = self.learner, self.journal, self.clock
        self.administration = Administration(self.registry, journal, learner, clock, self.settings.shard)
        self.appeals = Appeals(learner, journal, clock)
        self.policies = Policies(learner, journal, clock)
        self.challengers = Challengers(learner, journal, self.prefixes, self.policies, clock)
        self.federation = Federation(learner, journal, self.registry, self.specs, clock)
        self.lifecycle = Lifecycle(learner, journal, self.checkpoints, self.prefixes, clock)
        self.replays = Replays(self.settings.data_dir, self.settings.database_url, learner)
        held = (learner, journal, self.memory, self.embedder)
        self.carrying = Carrying(*held, self.federation, self.registry, clock)

    def _make_owed(self, stream: JetStream | None) -> None:
        """What is owed to the world outside, and who does which of it."""
        asking: dict[str, Deed] = {
            "reflection": self.reflects,
            "reuse_check": self.rechecks,
            "skill_text": self.describes,
        }
        deeds = asking if self.reflects.able else {}
        upstream = Upstream(self.http, deadline_s=DEADLINE_S)
        private = self.settings.insecure_local or self.settings.webhooks_private
        deeds["webhook"] = self.webhooks = Webhooks(
            self.learner, self.journal, self.registry, upstream, self.clock, private=private
        )
        if (url := self.settings.alarm_url) is not None:
            deeds["alarm"] = Sender(url, self.registry.derived(LABEL), upstream, self.clock)
        self.broker = None
        if (url := self.settings.broker_url) is not None:
            self.broker = Broker(stream or JetStream(url), self.federation.origin, self.metrics.broker_messages)
            deeds["broker"] = self.broker
        self.outbox = Outbox(self.journal, self.clock, deeds, self.settings.seed)
        self.alarms, self.reflections = Alarms(self.outbox, self.clock), Reflections(self.outbox)
        self.descriptions, self.news = Descriptions(self.outbox), Bus()
        self.replication = self._make_replication()

    def _for_the_fold(self, prefixes: Prefixes) -> PrefixStore:
        if not self.journal.shared:
            return prefixes
        from .replication import PatientPrefixes

        return PatientPrefixes(prefixes)

    def _make_checkpoints(self) -> CheckpointFiles:
        folder = Path(self.settings.data_dir) / CHECKPOINT_FOLDER
        if not self.journal.shared:
            return CheckpointFiles(folder)
        from .replication import SharedCheckpoints

        return SharedCheckpoints.of(self.journal, folder)

    def _make_replication(self) -> "Replication | None":
        """Of a journal that replicas share: one of them acts for all."""
        if not self.journal.shared:
            return None
        from .replication import Replication

        each_s = self.settings.recovery_interval_s
        return Replication.of(self.journal, self.learner, self.outbox, self.alarms, each_s)

    def _make_background(self) -> Background:
        return Background(
            self.learner,
            self.journal,
            self.memory,
            self.embedder,
            self.recovery,
            self.clock,
            self.outbox,
            self.metrics,
            self.budgets,
            (self.policies, self.challengers, self.budgets, self.ranker, self.forgetting),
            self.replication,
            self.settings.recovery_interval_s,
        )
