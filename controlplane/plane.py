"""The first loop: request -> recall -> featurize -> choose -> execute -> journal -> answer."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from auditor import Learner, Trace, learn_on
from auditor.comparison import Beside
from auditor.events import Decided as DecidedEvent
from auditor.events import FailMode
from strategist import HeadChoice, State

from .clock import Clock
from .contract import DecisionAnswer, DecisionRequest
from .errors import StorageFull, Unavailable, Unprocessable
from .executor.choice import by_another, choose
from .executor.point import Acting, AskedPoint, Decided, Evidence, Executed, Other, Point
from .idempotency import Receipt
from .ids import new_id
from .journal import Journal
from .settings import Settings
from .telemetry import OTHER, Counted, Metrics
from .tenants import Caller

AnyPoint = Point[Any]
AnyAskedPoint = AskedPoint[Any]


class Made(NamedTuple):
    """A decision that is carried out, and not written down yet."""

    trace: Trace
    executed: Executed
    acting: Acting
    state: State


class Plane:
    """Answers decisions. What it chose is on disk before the caller hears of it."""

    def __init__(
        self,
        asked: Sequence[AnyAskedPoint],
        unasked: Sequence[AnyPoint],
        learner: Learner,
        journal: Journal,
        clock: Clock,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self.points: dict[str, AnyPoint] = {point.name: point for point in (*asked, *unasked)}
        self._asked = {point.name: point for point in asked}
        self._learner, self._journal, self._clock, self._metrics = learner, journal, clock, metrics
        self._settings_hash = settings.hash
        self._rng = random.Random(settings.seed)
        self._later = random.Random(None if settings.seed is None else f"{settings.seed} later")
        self._counters: dict[tuple[str, str, str], Counted] = {}

    async def decide(self, caller: Caller, request: DecisionRequest, receipt: Receipt | None = None) -> DecisionAnswer:
        """Decide, carry it out, write it down, answer.

        Raises:
          Unavailable, StorageFull: it cannot be written down, and the caller's fail mode is `closed`.
        """
        tenant = caller.tenant
        point = self._point(request)
        watch = Watch(self._clock)
        fold = self._learner.state.of(tenant)
        evidence = await point.recall(fold, request, caller.key_id, self._clock.now())
        evidence.asker = caller.key_id
        watch.lap("recall")
        trace, executed, acting, state = await self.make(tenant, point, request, evidence, watch)
        at = self._clock.now()
        beside = [msgspec.structs.replace(event, at=at) for event in executed.events]
        decided = Decided(
            request=request,
            trace_id=trace.trace_id,
            heads=trace.heads,
            propensity=trace.propensity,
            policy_version=trace.policy_version,
            phases_ms=watch.phases_ms,
        )
        answer = point.answer(evidence, executed, decided)  # its phases are the watch's: the last lap enters them yet
        if receipt is not None:
            receipt.answer = msgspec.to_builtins(answer)
        try:
            await (receipt or self._journal).append(DecidedEvent(tenant=tenant, at=at, trace=trace), *beside)
        except (Unavailable, StorageFull):
            if caller.fail_mode == "closed":
                raise
            return await self._unjournalled(point, request, evidence, (acting, state), caller.fail_mode)
        watch.lap("journal")
        self.count(trace)
        self._metrics.decision_latency.observe(watch.phases_ms)
        return answer

    async def make(
        self, tenant: str, point: AnyPoint, request: DecisionRequest, evidence: Evidence, watch: "Watch"
    ) -> Made:
        """Decide by what is known, and carry it out.

        Raises:
          NoEligibleAction: every action of the first head is masked.
        """
        state = point.features.state(evidence)
        watch.lap("featurize")
        # What was learnt may have been restored during the recall, and may move on before the trace is made.
        trace_id = new_id("tr")
        task = f"{request.namespace}/{request.task_id}" if request.task_id is not None else trace_id
        acting, version = self._acting(tenant, point, task), self._learner.version
        steered = self._learner.state.steering.at(tenant, point.name).version
        first = self._rng if point.name in self._asked else self._later
        heads = choose(point, evidence, acting, state, first, self._later)
        other = by_another(point, evidence, acting, state, heads)
        watch.lap("choose")
        evidence.trace_id = trace_id
        executed = await point.execute(evidence, request, heads)
        watch.lap("execute")
        trace = self._trace(trace_id, point, request, evidence, acting, (version, steered), heads, other, executed)
        return Made(trace, executed, acting, state)

    async def _unjournalled(
        self,
        point: AnyAskedPoint,
        request: DecisionRequest,
        evidence: Evidence,
        situation: tuple[Acting, State],
        fail_mode: FailMode,
    ) -> DecisionAnswer:
        """Answer without the journal, and without a draw: nobody can report on it and nothing is learnt from it."""
        acting, state = situation
        if fail_mode == "open":
            only = point.passing(request, evidence, acting.rules)
            heads: tuple[HeadChoice, ...] = (acting.policy.choose(point.heads[0], state, only, self._rng),)
        else:
            unaudited = msgspec.structs.replace(acting.rules, audit_share=0.0)
            unexploring = Acting(acting.policy.unexploring(), unaudited)
            heads = choose(point, evidence, unexploring, state, self._rng, self._later)[:1]  # no model is asked again
        executed = await point.execute(evidence, request, heads)
        evidence.degraded = (*evidence.degraded, "journal")
        self._metrics.degraded.labels("journal").inc()
        decided = Decided(
            request=request,
            trace_id=None,
            heads=heads,
            propensity=1.0,
            policy_version=self._learner.version,
            phases_ms={},
        )
        return point.answer(evidence, executed, decided)

    def _acting(self, tenant: str, point: AnyPoint, task: str) -> Acting:
        """The champion, or on its share of the tasks the challenger."""
        fold = self._learner.state.of(tenant)
        champion = Acting(fold.policies[point.name], fold.rules.points[point.name])
        if (rival := fold.rivals.get(point.name)) is None:
            return champion
        if rival.acts_on(task):
            return Acting(rival.policy, rival.rules, Other("champion", rival.number, champion))
        return Acting(
            champion.policy,
            champion.rules,
            Other("challenger", rival.number, Acting(rival.policy, rival.rules)),
        )

    def _point(self, request: DecisionRequest) -> AnyAskedPoint:
        gate, route = request.planned_action is not None, request.candidates is not None
        name = request.point or ("gate" if gate else "route" if route else None)
        if name is None:
            raise Unprocessable("give planned_action (to pass the gate) or candidates (to be routed)")
        if name not in self._asked:
            raise Unprocessable(f"no point {name!r} can be asked; there are {', '.join(sorted(self._asked))}")
        if request.point is None and gate and route:
            raise Unprocessable('planned_action and candidates are both given; say "point": "gate" or "route"')
        if name == "gate" and not gate:
            raise Unprocessable("the gate needs planned_action: what the agent is about to do")
        return self._asked[name]

    def _trace(
        self,
        trace_id: str,
        point: AnyPoint,
        request: DecisionRequest,
        evidence: Evidence,
        acting: Acting,
        versions: tuple[int, int],
        heads: tuple[HeadChoice, ...],
        other: Beside | None,
        executed: Executed,
    ) -> Trace:
        version, steered = versions
        return Trace(
            trace_id=trace_id,
            namespace=request.namespace,
            task_id=request.task_id,
            previous_trace_id=request.previous_trace_id,
            point=point.name,
            request=request,
            facts=evidence.facts,
            text_codes=evidence.text_codes,
            own_facts=evidence.own_facts,
            heads=heads,
            rule=evidence.rule,
            mode=acting.policy.settings.mode,
            learn_on=learn_on(point.name, heads[0].action),
            terminal=point.name != "gate" or request.task_id is None,
            cited=executed.cited,
            signature=evidence.signature,
            conditions=evidence.conditions,
            plan=evidence.plan,
            advised=executed.advised,
            abstained=executed.abstained,
            degraded=evidence.degraded,
            execution=executed.record,
            policy_version=version,
            settings_hash=self._settings_hash,
            spec_hash=point.features.spec_hash,
            beside=other,
            lesson=executed.lesson,
            acted=acting.other.since if acting.other is not None and acting.other.who == "champion" else 0,
            steered=steered,
            offered=evidence.drawn,
            lag_ms=round(self._journal.lag_s * 1000.0, 1),
        )

    def count(self, trace: Trace) -> None:
        """Count a decision."""
        key = (trace.point, OTHER if trace.point == "route" else trace.action, trace.heads[0].exploration)
        if (counter := self._counters.get(key)) is None:
            point, action, exploration = key
            providers = {"gate": "none", "capture": "none", "route": OTHER}
            provider = providers.get(point) or trace.execution["chosen"].provider
            counter = self._counters[key] = self._metrics.decisions.labels(point, provider, action, exploration)
        counter.inc()
        for part in trace.degraded:
            self._metrics.degraded.labels(part).inc()


class Watch:
    """Milliseconds per phase."""

    def __init__(self, clock: Clock) -> None:
        self.phases_ms: dict[str, float] = {}
        self._clock, self._last = clock, clock.monotonic()

    def lap(self, phase: str) -> None:
        now = self._clock.monotonic()
        self.phases_ms[phase] = (now - self._last) * 1000.0
        self._last = now
