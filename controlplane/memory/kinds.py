"""Which failures are of one kind."""

from collections.abc import Hashable, Iterable

from .sharing import short


class Kinds:
    """The ids of each kind, in the order they came. Most kinds have one id: it takes no room beside itself."""

    def __init__(self) -> None:
        self._of: dict[int, int | dict[int, None]] = {}

    def add(self, kind: Hashable, key: int) -> None:
        """One more of a kind."""
        known = self._of.setdefault(short(kind), key)
        if isinstance(known, dict):
            known[key] = None
        elif known != key:
            self._of[short(kind)] = {known: None, key: None}

    def remove(self, kind: Hashable, key: int) -> None:
        """One less of a kind that has it."""
        known = self._of[short(kind)]
        if isinstance(known, dict):
            del known[key]
        if not isinstance(known, dict) or not known:
            del self._of[short(kind)]

    def newest(self, kind: Hashable) -> Iterable[int]:
        """Those of a kind, the newest first."""
        known = self._of.get(short(kind), {})
        return reversed(known) if isinstance(known, dict) else (known,)
