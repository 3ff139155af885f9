"""Where one learnt table prefers another action than an earlier one, for whoever compares two of them."""

from collections.abc import Iterator

import msgspec

from .errors import SpecMismatch
from .snapshot import PolicySnapshot


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
    known = dict(_preferences(before))
    found = [
        Change(state=state, before=known[state], after=preference)
        for state, preference in _preferences(after)
        if state in known and known[state].action != preference.action
    ]
    return sorted(found, key=lambda change: (-change.after.visits, change.state))


def _preferences(snapshot: PolicySnapshot) -> Iterator[tuple[str, Preference]]:
    """Of every state; of equal values the action that sorts first counts as the greedy one."""
    rows: dict[str, list[tuple[str, float, int]]] = {}
    for key, action, value, visits in snapshot.cells:
        rows.setdefault(key, []).append((action, value, visits))
    for key, row in rows.items():
        values = {action: value for action, value, _ in row}
        yield (
            key,
            Preference(
                action=max(sorted(values), key=values.__getitem__),
                values=values,
                visits=sum(visits for _, _, visits in row),
            ),
        )
