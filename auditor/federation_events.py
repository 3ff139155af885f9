"""What operators import from other origins, and let go of, as events."""

from strategist.federation import Entry

from .event import Event


class Federated(Event, frozen=True, kw_only=True, tag="federated"):
    """An operator imported what another origin learnt; the newest entry of an origin stands."""

    entry: Entry
    by: str = ""
    why: str

    @property
    def ref(self) -> str:
        return self.entry.origin


class OriginForgotten(Event, frozen=True, kw_only=True, tag="origin_forgotten"):
    """An operator took away what an origin had learnt."""

    point: str
    origin: str
    by: str = ""
    why: str

    @property
    def ref(self) -> str:
        return self.origin
