"""Which captures count: all but those that a quarantine covers."""

from collections.abc import Mapping, Set

from auditor.hygiene_events import Quarantined, QuarantineLifted

Captures = Mapping[str, tuple[float, float]]  # by key: when it captured an episode first and last


class Quarantines:
    """Every quarantine that holds, of all tenants: a fold of the journal."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, Quarantined]] = {}  # by tenant and id
        self._keys: dict[str, set[str]] = {}

    def held(self) -> dict[int, Quarantined]:
        """All by their ids."""
        return {seq: event for held in self._of.values() for seq, event in held.items()}

    def keys(self, tenant: str) -> Set[str]:
        """The keys that one is about, now and at any later moment."""
        return self._keys.setdefault(tenant, set())

    def fold(self, seq: int, event: Quarantined | QuarantineLifted) -> str | None:
        """The key whose captures are to be looked at anew; None where nothing changed."""
        held = self._of.setdefault(event.tenant, {})
        if isinstance(event, Quarantined):
            held[seq] = about = event
        elif (lifted := held.pop(event.quarantine_id, None)) is None:
            return None
        else:
            about = lifted
        keys = self._keys.setdefault(event.tenant, set())
        keys.clear()
        keys.update(one.key_id for one in held.values())
        return about.key_id

    def standing(self, tenant: str, captures: Captures) -> set[str]:
        """The keys whose captures of an episode count."""
        held = self._of.get(tenant, {}).values()
        return {key for key, (first, last) in captures.items() if not any(q.covers(key, first, last) for q in held)}
