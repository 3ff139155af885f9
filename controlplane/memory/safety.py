"""What is left out of an answer for safety's sake, and why: each filter has a name that it is counted under."""

from collections.abc import Collection
from typing import NamedTuple

from ..contract import Safety

DAY_S = 86_400.0


class Looks(NamedTuple):
    """What the filters look at in a memory. What its source did not state is 0, or None for a licence.

    fingerprint: SHA-256 of its text, in hexadecimal; trust: how far its origin is trusted, in [0, 1].
    """

    at: float
    alignment_severity: float = 0.0
    semantic_alerts: int = 0
    license: str | None = None
    fingerprint: str = ""
    trust: float = 0.5


def unsafe(memory: Looks, bounds: Safety, now: float) -> str | None:
    """The name of the first filter that the memory does not pass; None where it may be told.

    >>> unsafe(Looks(at=0.0, license="gpl-3.0"), Safety(license_denylist=("GPL-3.0",)), 1.0)
    'license'
    """
    if bounds.max_alignment_severity is not None and memory.alignment_severity > bounds.max_alignment_severity:
        return "alignment_severity"
    if bounds.max_alerts is not None and memory.semantic_alerts > bounds.max_alerts:
        return "semantic_alerts"
    if denied(memory.license, memory.fingerprint, bounds.license_denylist):
        return "license"
    if bounds.max_age_days is not None and now - memory.at > bounds.max_age_days * DAY_S:
        return "age"
    if bounds.min_trust is not None and memory.trust < bounds.min_trust:
        return "trust"
    return None


def denied(license_: str | None, fingerprint: str, denylist: Collection[str]) -> bool:
    """Whether a licence, or a text by its fingerprint, is on the list; case is ignored."""
    names = {name.strip().lower() for name in denylist}
    return bool(names) and ((license_ or "").strip().lower() in names or fingerprint.lower() in names)
