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
    if (guard := forcing(guards, facing)) is not None:
        forced = tuple([action for action in allowed.actions if guard.names(action)])
        if forced:
            masked = {action: guard.reason for action in allowed.actions if action not in forced}
            return Eligible(actions=forced, masked=allowed.masked | masked)
    masked = forbidden(guards, facing, allowed.actions)
    left = tuple([action for action in allowed.actions if action not in masked])
    if not left:
        raise Unprocessable(f"every candidate is forbidden: {'; '.join(sorted(set(masked.values())))}")
    return Eligible(actions=left, masked=allowed.masked | masked)
