"""Where one learnt table prefers another action than an earlier one, for whoever compares two of them."""

import msgspec

from .errors import SpecMismatch
from .snapshot import PolicySnapshot

Row = dict[str, tuple[float, int]]  # value and visits by action


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """What a table knows in one state: the greedy action, each action's value, and the visits of all of them."""

    action: str
    values: dict[str, float]
    visits: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A state whose greedy action is another one than before."""

    state: str
    before: Preference
    after: Preference


def changes(before: PolicySnapshot, after: PolicySnapshot) -> list[Change]:
    """The states both tables know and prefer another action in, the most visited first.

    Raises:
      SpecMismatch: the keys of one mean something else than those of the other.
    """
    if before.spec_hash != after.spec_hash:
        raise SpecMismatch(f"one was learnt under feature spec {before.spec_hash}, the other under {after.spec_hash}")
    earlier, later = _rows(before), _rows(after)
    found = [
        Change(state=state, before=_preference(earlier[state]), after=_preference(row))
        for state, row in later.items()
        if state in earlier and _greedy(earlier[state]) != _greedy(row)
    ]
    return sorted(found, key=lambda change: (-change.after.visits, change.state))


def _rows(snapshot: PolicySnapshot) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for key, action, value, visits in snapshot.cells:
        rows.setdefault(key, {})[action] = value, visits
    return rows


def _greedy(row: Row) -> str:
    """The action of the largest value; of equal ones that which sorts first."""
    return min(row, key=lambda action: (-row[action][0], action))


def _preference(row: Row) -> Preference:
    return Preference(
        action=_greedy(row),
        values={action: value for action, (value, _) in row.items()},
        visits=sum(visits for _, visits in row.values()),
    )
