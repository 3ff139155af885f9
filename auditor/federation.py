"""What a tenant imported from other origins, folded: every policy of its point reads it, and nothing moves it."""

from math import inf

from strategist.federation import newest

from .federation_events import Federated, OriginForgotten
from .fold import TenantFold
from .rewards import bounds
from .rules import PointRules


def follow(fold: TenantFold, event: Federated | OriginForgotten) -> None:
    """An entry is imported, or an origin forgotten."""
    fold.touched = True
    if isinstance(event, Federated):
        _take(fold, event)
    elif (imported := fold.imported.get(event.point)) is not None:
        imported.pop(event.origin, None)
        if not imported:
            del fold.imported[event.point]
        federate(fold, event.point)


def _take(fold: TenantFold, event: Federated) -> None:
    entry = event.entry
    rules = fold.rules.points.get(entry.point)
    if rules is None or rules.spec_hash != entry.spec_hash:
        return  # its keys belong to a table that is not there
    imported = fold.imported.setdefault(entry.point, {})
    if (standing := imported.get(entry.origin)) is None or newest(standing.entry, entry) is entry:
        imported[entry.origin] = event
        federate(fold, entry.point)


def federate(fold: TenantFold, point: str) -> None:
    """Let the champion and who stands beside it read what is imported there."""
    entries = {origin: event.entry for origin, event in fold.imported.get(point, {}).items()}
    policies = [fold.policies[point], *([rival.policy] if (rival := fold.rivals.get(point)) else [])]
    for policy in policies:
        policy.federate(entries)


def largest(point: str, rules: PointRules) -> float:
    """How far from 0 a value can be that was learnt from such rewards: one reward after the other, or where it starts.

    A known part of a reward is no part of the value, so that one reward counts with the whole range.
    """
    lowest, highest = bounds(point, rules.weights)
    gamma = rules.policy.gamma
    return max((highest - lowest) / (1.0 - gamma) if gamma < 1.0 else inf, rules.policy.prior_value)
