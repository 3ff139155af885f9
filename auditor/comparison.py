"""Which of two ways to decide earns more, by decisions that only one of them made.

Each decision's reward counts by how much likelier the other would have made it (importance weighting): a decision is an
unbiased look at both wherever the one that acted could have done all that the other does.
"""

from typing import Literal

import msgspec

from strategist.betting import LowerBound

Who = Literal["table", "challenger", "champion"]  # who did not act


class Beside(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """What somebody who did not act would have done with the same draw, with a probability for each eligible action."""

    who: Who
    action: str
    since: int = 0  # the event since which a challenger or former champion stands there
    probabilities: tuple[float, ...]  # [A], of the first head; less than 1 in all where it would do what was masked


class Weighed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much likelier the action was to the other (`theirs`) and to the one that acted (`ours`) than it was drawn.

    `ours` was never above `most`. None of it counts where the other would do what could not have been drawn.
    """

    who: Who
    theirs: float
    ours: float
    most: float
    counts: bool
    since: int = 0


class Comparison(msgspec.Struct, array_like=True):
    """What is known of the difference, in shares of the range that rewards lie in.

    `theirs` is the table's against the rule, or the challenger's against the champion.
    """

    for_theirs: LowerBound = msgspec.field(default_factory=LowerBound)
    for_ours: LowerBound = msgspec.field(default_factory=LowerBound)
    unsupported: int = 0  # decisions that say nothing, for the other would have done what could not be drawn

    def add(self, weighed: Weighed, reward: float) -> None:
        """Take in a decision whose reward is this share of the range, in [0, 1].

        Both numbers are the difference on average, each from its side: the weights themselves differ by 0.
        """
        if not weighed.counts:
            self.unsupported += 1
            return
        ahead = weighed.theirs - weighed.ours
        theirs, ours = self.for_theirs, self.for_ours
        if weighed.who == "champion":  # the challenger acted
            theirs, ours = ours, theirs
        theirs.add(ahead * reward, weighed.most)
        ours.add(ahead * (1.0 - reward), weighed.most)

    @property
    def interval(self) -> tuple[float, float]:
        """By how much the other one is better, at least and at most; each end holds with 95 %, at any time."""
        return self.for_theirs.low, -self.for_ours.low


def weigh(
    beside: Beside, actions: tuple[str, ...], probabilities: tuple[float, ...], action: str, rule: str | None
) -> Weighed | None:
    """How a decision weighs; None where there was no choice.

    The table is compared with the rule it is the apprentice of, a challenger with whoever acted.
    """
    if len(actions) == 1 or (beside.who == "table" and rule not in actions):
        return None
    at = actions.index(action)
    drawn, ours, most = probabilities[at], 1.0, 1.0
    if beside.who == "table" and rule is not None:
        ours, most = (action == rule) / drawn, 1.0 / probabilities[actions.index(rule)]
    possible = all(p > 0.0 or not theirs for p, theirs in zip(probabilities, beside.probabilities, strict=True))
    counts = possible and sum(beside.probabilities) > 1.0 - 1e-9
    return Weighed(beside.who, beside.probabilities[at] / drawn, ours, most, counts, beside.since)
