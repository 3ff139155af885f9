"""Routing: which of the caller's candidates should take the work. It never abstains; it explores."""

from collections import Counter
from collections.abc import Mapping, Sequence

from auditor import PointRules
from auditor.fold import TenantFold
from auditor.guards import Facing
from auditor.rewards import cost_value
from strategist import Eligible, HeadChoice, State
from strategist.features.bins import Fact

from ..contract import Candidate, DecisionRequest, RouteAnswer
from ..embedding import BatchingEmbedder
from ..errors import Unprocessable
from ..router import Router
from ..signals import Reading, Signals
from . import texts
from .guarding import allowed_candidates
from .point import Acting, AskedPoint, Decided, Evidence, Executed, Features, explained, own_scalars, scalar

KNOWN = ("region", "cpu", "memory_gb", "latency_ms")


class RouteEvidence(Evidence, kw_only=True):
    """The candidates by what they are called, whatever their order, and the signals."""

    candidates: dict[str, Candidate]
    facing: Facing
    reading: Reading
    router_score: float | None = None


class RoutePoint(AskedPoint[RouteEvidence]):
    """See the module."""

    name = "route"
    heads = ("candidate",)

    def __init__(self, signals: Signals, router: Router, embedder: BatchingEmbedder) -> None:
        self.features = Features("route.toml")
        self._signals, self._router, self._embedder = signals, router, embedder

    async def recall(self, fold: TenantFold, request: DecisionRequest, asker: str, now: float) -> RouteEvidence:
        candidates = _by_name(request.candidates or ())
        reading, failing = await self._signals.read()
        text = await texts.read(self.features, self._embedder, request.goal or "")
        facts: dict[str, Fact] = {name: scalar(request.context.get(name)) for name in KNOWN}
        if self._signals.configured:  # neutral values tell nothing where there is no source
            facts |= {"psi_coherence": reading.coherence, "psi_density": reading.density}
        return RouteEvidence(
            facts=facts,
            text_codes=text.codes,
            own_facts=own_scalars(request.context, KNOWN),
            words=text.words,
            sketch=text.sketch,
            known=_known_costs(candidates, fold.rules.points[self.name].weights.get("cost", 0.0)),
            degraded=(*(("signals",) if failing else ()), *text.degraded),
            candidates=candidates,
            facing=Facing(environment=request.context),
            reading=reading,
        )

    def eligible(
        self, head: str, evidence: RouteEvidence, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        return allowed_candidates(Eligible(actions=tuple(evidence.candidates)), acting.rules.guards, evidence.facing)

    def passing(self, request: DecisionRequest, evidence: RouteEvidence, rules: PointRules) -> Eligible:
        as_given = Eligible(actions=tuple([candidate.action for candidate in request.candidates or ()]))
        allowed = allowed_candidates(as_given, rules.guards, evidence.facing)
        return Eligible(actions=allowed.actions[:1], masked=allowed.masked)

    async def execute(self, evidence: RouteEvidence, request: DecisionRequest, taken: Sequence[HeadChoice]) -> Executed:
        chosen = evidence.candidates[taken[0].action]
        if self._router.configured:
            evidence.router_score = await self._router.score(request, chosen)
            if evidence.router_score is None:
                evidence.degraded = (*evidence.degraded, "router")
        return Executed(record={"chosen": chosen, "router_score": evidence.router_score})

    def answer(self, evidence: RouteEvidence, executed: Executed, decided: Decided) -> RouteAnswer:
        choice = decided.heads[0]
        score = evidence.router_score
        return RouteAnswer(
            task_id=decided.request.task_id,
            point=self.name,
            action=choice.action,
            chosen=evidence.candidates[choice.action],
            score=choice.q_value if score is None else score,
            trace_id=decided.trace_id,
            propensity=decided.propensity,
            policy_version=decided.policy_version,
            explanations=explained(
                choice,
                choice.state.chains[-1][-1],
                decided,
                psi_coherence=evidence.reading.coherence,
                psi_density=evidence.reading.density,
            ),
            degraded=evidence.degraded,
        )


def _known_costs(candidates: Mapping[str, Candidate], weight: float) -> dict[str, float]:
    """What the costs that are known beforehand will add to each candidate's reward; nothing unless all are known."""
    costs = {action: candidate.expected_cost for action, candidate in candidates.items()}
    known = {action: weight * cost_value(usd) for action, usd in costs.items() if usd is not None}
    return known if len(known) == len(costs) else {}


def _by_name(candidates: Sequence[Candidate]) -> dict[str, Candidate]:
    """Candidates by action, sorted: their order in the request means nothing.

    Raises:
      Unprocessable: there is none, or two are the same.
    """
    if not candidates:
        raise Unprocessable("candidates is empty; give at least one {provider, sku}")
    named = {candidate.action: candidate for candidate in candidates}
    if len(named) != len(candidates):
        twice = sorted({name for name, n in Counter(c.action for c in candidates).items() if n > 1})
        raise Unprocessable(f"candidates name {', '.join(twice)} more than once; give each provider and sku once")
    return dict(sorted(named.items()))
