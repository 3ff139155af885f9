"""What operators' guard rules leave of what may be chosen: masks like others, with their reason in the trace."""

from collections.abc import Sequence

from auditor.guards import Facing, Guard, forbidden, forcing
from strategist import Eligible

from ..errors import Unprocessable
from .rule import BLOCK, HINT, PROCEED, VERDICTS

UNASKED = (PROCEED, HINT, BLOCK)  # verdicts that need no evidence to be carried out; lax to strict


def allowed_verdicts(allowed: Eligible, guards: Sequence[Guard], facing: Facing) -> tuple[Eligible, str | None]:
    """What is forced, whatever the evidence; else what is not forbidden, or the laxest verdict that is not.

    PROCEED is among what the evidence allows, so where nothing is left it was forbidden. Where rules forbid everything,
    nothing is let through. Beside it why, where rules and not the evidence left it.
    """
    if (guard := forcing(guards, facing)) is not None:
        forced = tuple([verdict for verdict in UNASKED if guard.names(verdict)])
        return Eligible(actions=forced, masked={v: guard.reason for v in VERDICTS if v not in forced}), guard.reason
    masked = forbidden(guards, facing, VERDICTS)
    left = tuple([verdict for verdict in allowed.actions if verdict not in masked])
    why = None if left else masked[allowed.actions[0]]
    if not left:
        left = (next((verdict for verdict in UNASKED if verdict not in masked), BLOCK),)
    kept = {verdict: said for verdict, said in (allowed.masked | masked).items() if verdict not in left}
    return Eligible(actions=left, masked=kept), why


def allowed_candidates(allowed: Eligible, guards: Sequence[Guard], facing: Facing) -> Eligible:
    """What is forced where it is among the candidates; else what is not forbidden.

    Raises:
      Unprocessable: all of them are forbidden.
    """
    left = allowed_tiers(allowed, guards, facing)
    if not left.actions:
        raise Unprocessable(f"every candidate is forbidden: {'; '.join(sorted(set(left.masked.values())))}")
    return left


def allowed_tiers(allowed: Eligible, guards: Sequence[Guard], facing: Facing) -> Eligible:
    """What is forced where it can be had; else what is not forbidden, which may be nothing."""
    masked: dict[str, str] = {}
    if (guard := forcing(guards, facing)) is not None and any(map(guard.names, allowed.actions)):
        masked = {action: guard.reason for action in allowed.actions if not guard.names(action)}
    else:
        masked = forbidden(guards, facing, allowed.actions)
    left = tuple([action for action in allowed.actions if action not in masked])
    return Eligible(actions=left, masked=allowed.masked | masked)
