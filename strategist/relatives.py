"""What an action is worth before anything is known of it: nearly as much as the best of its relatives.

`provider/sku` is related to every other sku of its provider, and without one to whatever is eligible; nothing starts
below 0, the reward of what nobody reported on. Later the best there is counts as a few pseudo-visits of every action,
so that one unlucky try closes nothing (optimistic initial values; Sutton & Barto 2018, section 2.6).
"""

from collections.abc import Mapping, Sequence

from .tables import Cell, Row

LITTLE_LESS = 0.9  # what has proved itself goes before what is only hoped for


def starts(means: Row, actions: Sequence[str], visits: int) -> list[float]:
    """Mean target of each action [A] over all states, shrunk by so many pseudo-visits; 0 where nothing is known."""
    known = {action: means[action].value for action in actions if action in means}
    best = max(known.values(), default=0.0)
    return [_start(means.get(action), action, known, best, visits) for action in actions]


def _start(own: Cell | None, action: str, known: Mapping[str, float], best: float, visits: int) -> float:
    if own is not None:
        return best + own.visits / (own.visits + visits) * (own.value - best)
    provider = action.partition("/")[0]
    related = [value for other, value in known.items() if other.partition("/")[0] == provider]
    return max(0.0, LITTLE_LESS * max(related, default=best))
