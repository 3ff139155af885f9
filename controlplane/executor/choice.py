"""Choosing: who acts, head by head; and what somebody beside it would have done."""

from typing import Any

import msgspec

from auditor.comparison import Beside
from strategist import HeadChoice, State
from strategist.policy import Rng

from .point import Acting, Evidence, Other, Point

AnyPoint = Point[Any]


def choose(
    point: AnyPoint, evidence: Evidence, acting: Acting, state: State, rng: Rng, later: Rng
) -> tuple[HeadChoice, ...]:
    """Every head in turn, each in the state the heads before it made; a later head with nothing eligible is skipped.

    Later heads draw from dice of their own: whether they come to it hangs on what was there in time, and first heads
    are to draw the same whatever was.
    """
    taken: list[HeadChoice] = []
    for head in point.heads:
        eligible = point.eligible(head, evidence, acting, state, taken)
        if taken and not eligible.actions:
            break
        prior = evidence.prior if not taken else None
        if taken:
            state = state.after(taken[-1].head, taken[-1].action)
        known = {action: evidence.known[action] for action in eligible.actions if action in evidence.known}
        taken.append(acting.policy.choose(head, state, eligible, later if taken else rng, prior, known))
    return tuple(taken)


class Same:
    """The number that somebody else drew."""

    def __init__(self, draw: float) -> None:
        self._draw = draw

    def random(self) -> float:
        return self._draw


def by_another(
    point: AnyPoint, evidence: Evidence, acting: Acting, state: State, heads: tuple[HeadChoice, ...]
) -> Beside | None:
    """What a challenger would have done, or an apprentice's table; None where nobody stands beside who acted."""
    other = acting.other
    if other is None and acting.policy.settings.mode == "apprentice":
        other = Other("table", 0, Acting(acting.policy.learning(), acting.rules))
    if other is None or heads[0].exploration == "only":
        return None
    kept = msgspec.structs.replace(evidence)  # what is eligible to the other one is no evidence of the decision's
    same = Same(heads[0].draw)
    theirs = choose(point, kept, other.acting, state, same, same)[0]
    of = dict(zip(theirs.actions, theirs.probabilities, strict=True))
    probabilities = tuple([of.get(action, 0.0) for action in heads[0].actions])
    return Beside(who=other.who, since=other.since, action=theirs.action, probabilities=probabilities)
