"""How challengers come, go, and change places with champions: the events of their lives, folded."""

from strategist import Policy

from .at_rest import decode_tenant
from .errors import UnreadableFold
from .federation import federate
from .fold import TenantFold
from .policy_events import ChallengerEnded, ChallengerSet, Promoted, RolledBack
from .rival import Rival, Spec


def follow(fold: TenantFold, seq: int, event: ChallengerSet | ChallengerEnded, prefix: bytes | None) -> None:
    """A challenger is set up, acts on another share, or goes."""
    fold.touched = True
    if isinstance(event, ChallengerEnded):
        fold.rivals.pop(event.point, None)
        return
    if (rules := fold.rules.points.get(event.point)) is None:
        return
    standing = fold.rivals.get(event.point)
    if standing is not None and not standing.former and standing.spec == event.spec:
        standing.share = event.share
        return
    policy = Policy(rules.policy)
    if event.rests_on is not None:
        if prefix is None:
            raise UnreadableFold(f"the challenger at {seq} begins with {event.rests_on}, which was not handed in")
        policy = decode_tenant(prefix).policies[event.point].restore(rules.policy, rules.spec_hash)
    fold.rivals[event.point] = Rival(seq, event.spec, event.share, policy, rules)
    federate(fold, event.point)


def swap(fold: TenantFold, seq: int, event: Promoted | RolledBack) -> None:
    """Champion and challenger change places; who leaves the place learns on beside it, and is compared anew."""
    fold.touched = True
    if (rival := fold.rivals.get(event.point)) is None:
        return
    was, rules = fold.policies[event.point], fold.rules.points[event.point]
    rival.policy.configure(rules.policy)
    fold.policies[event.point] = rival.policy
    if isinstance(event, RolledBack):
        del fold.rivals[event.point]
        return
    former = Spec(tuning=event.was.tuning, weights=event.was.weights)
    fold.rivals[event.point] = Rival(seq, former, 0.0, was, rules)
    fold.rivals[event.point].former = True
