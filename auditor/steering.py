"""What operators set at their tenants' points in the place of the settings.

A fold of their acts. A restore does not touch it: what binds a policy is not learnt.
"""

from collections.abc import Iterable

import msgspec

from .override import Override
from .policy_events import PolicySet, Promoted, RolledBack
from .rules import Rules

Place = tuple[str, str]  # (tenant, point)


class Steered(msgspec.Struct, frozen=True, kw_only=True):
    """What is set at a point, and the event that set it: its number, when it was, by whom and why."""

    tenant: str
    point: str
    version: int = 0
    at: float = 0.0
    by: str = ""
    why: str = ""
    override: Override = Override()


class Steering:
    """Of all tenants."""

    def __init__(self, dump: Iterable[Steered] = ()) -> None:
        self._steered: dict[Place, Steered] = {(of.tenant, of.point): of for of in dump}

    def at(self, tenant: str, point: str) -> Steered:
        """What is set there; version 0 where nothing ever was."""
        return self._steered.get((tenant, point)) or Steered(tenant=tenant, point=point)

    def fold(self, seq: int, event: PolicySet | Promoted | RolledBack) -> None:
        """From here on this is set."""
        self._steered[event.tenant, event.point] = Steered(
            tenant=event.tenant,
            point=event.point,
            version=seq,
            at=event.at,
            by=event.by,
            why=event.why,
            override=event.override,
        )

    def over(self, tenant: str, rules: Rules) -> Rules:
        """The rules a tenant's fold follows."""
        points = {point: self.at(tenant, point).override.over(of) for point, of in rules.points.items()}
        return msgspec.structs.replace(rules, points=points)

    def dump(self) -> list[Steered]:
        return [steered for _, steered in sorted(self._steered.items())]
