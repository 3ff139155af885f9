"""Three numbers for every gate answer: risk (will it fail as planned?), evidence (how much is known), novelty.

Unknown is not safe: without evidence the risk is the tenant's base rate of failure, never 0.
"""

from strategist import Policy, Situation

from .evidence import Assessment, GateEvidence
from .rule import PROCEED

TABLE_VISITS = 10  # the table's opinion never weighs more than so many outcomes
OWN_OUTCOMES = 20  # nor the action's own history


def assess(evidence: GateEvidence, policy: Policy, situation: Situation) -> Assessment:
    """What the neighbours and the table say together, each weighed by how much it has seen."""
    failed, seen = _neighbours(evidence)
    visits = min(policy.table.visits(situation.state, PROCEED), TABLE_VISITS)
    value = policy.table.read(situation.state, (PROCEED,))[0] if visits else 0.0
    from_table = max(0.0, min(1.0, (1.0 - value) / 2.0))  # success is worth 1, failure -1
    risk = (failed + evidence.base_rate + visits * from_table) / (seen + 1.0 + visits)
    count = sum(1 + m.record.repeats for m in evidence.matches) + evidence.own.total
    return Assessment(
        risk=max(0.0, min(1.0, risk)),
        evidence=count + sum(case.count.total for case in evidence.near),
        novelty=max(0.0, min(1.0, 1.0 - evidence.nearest)),
    )


def _neighbours(evidence: GateEvidence) -> tuple[float, float]:
    """(weight of failures, weight of all outcomes) among what is remembered."""
    own = min(evidence.own.total, OWN_OUTCOMES)
    failed = own * evidence.own.failures / evidence.own.total if own else 0.0
    seen = float(own)
    for case in evidence.near:
        weight = case.similarity**4
        failed += weight * case.count.failures
        seen += weight * case.count.total
    for match in evidence.matches:
        weight = match.similarity**4 * match.precondition
        failed += weight
        seen += weight
    return failed, seen
