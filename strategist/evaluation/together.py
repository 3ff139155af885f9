"""Which decisions of a log are learnt together, and when: a rule that folds trajectories takes all that led to one."""

from collections import defaultdict
from collections.abc import Sequence

from ..types import Link, Transition
from .log import LoggedDecision


def learnt_together(log: Sequence[LoggedDecision], most: int) -> dict[int, list[int]]:
    """By the place that has to be passed first: places of decisions, the last one of a task first.

    Args:
      most: decisions that are learnt with the one that they led to; farther ones are learnt alone.
    """
    at = {decision.row: place for place, decision in enumerate(log)}
    led_to = [None if d.followed_by is None else at.get(d.followed_by) for d in log]
    behind: dict[int | None, list[int]] = defaultdict(list)
    for place, later in enumerate(led_to):
        behind[later].append(place)
    found = {}
    for last in behind[None]:
        reached = [last]
        for later in reached:
            reached += behind.get(later, [])
        near = reached[: most + 1]
        found[max(near)] = near
        found |= {far: [far] for far in reached[most + 1 :]}
    return found


def links(together: Sequence[LoggedDecision], transitions: Sequence[Transition]) -> list[Link]:
    """The transitions of decisions that are learnt together, each with the place of the one it led to."""
    at = {decision.row: of for of, decision in enumerate(together)}
    after = [decision.followed_by for decision in together]
    return [Link(move, None if row is None else at.get(row)) for move, row in zip(transitions, after, strict=True)]
