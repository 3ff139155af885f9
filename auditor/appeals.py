"""Appeals that wait for an operator. A restore does not touch them: they are no part of what is learnt."""

from collections.abc import Iterable

import msgspec

from .policy_events import Appealed, AppealRuled

MOST = 1000  # of one tenant; beyond, the oldest waits in the journal alone


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A BLOCK that was contested."""

    tenant: str
    trace_id: str
    at: float


class Appeals:
    """Of all tenants, each one's oldest first."""

    def __init__(self, dump: Iterable[Waiting] = ()) -> None:
        self._waiting: dict[str, dict[str, Waiting]] = {}
        for waiting in dump:
            self._waiting.setdefault(waiting.tenant, {})[waiting.trace_id] = waiting

    def of(self, tenant: str) -> list[Waiting]:
        return list(self._waiting.get(tenant, {}).values())

    def fold(self, event: Appealed | AppealRuled) -> None:
        """One more waits, or one less."""
        own = self._waiting.setdefault(event.tenant, {})
        if isinstance(event, AppealRuled):
            own.pop(event.trace_id, None)
        else:
            own.setdefault(event.trace_id, Waiting(event.tenant, event.trace_id, event.at))
            if len(own) > MOST:
                del own[next(iter(own))]

    def dump(self) -> list[Waiting]:
        return [waiting for _, own in sorted(self._waiting.items()) for waiting in own.values()]
