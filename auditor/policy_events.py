"""Events of a policy's life: what operators set at points, and what agents contest."""

from .event import Event
from .override import Override


class PolicySet(Event, frozen=True, kw_only=True, tag="policy_set"):
    """An operator set a point's policy for its tenant; `override` is all that is set from here on."""

    point: str
    override: Override
    by: str = ""
    why: str


class Appealed(Event, frozen=True, kw_only=True, tag="appeal"):
    """An agent contests a BLOCK."""

    trace_id: str
    reason: str
    by: str = ""

    @property
    def ref(self) -> str:
        return self.trace_id


class AppealRuled(Event, frozen=True, kw_only=True, tag="appeal_ruled"):
    """An operator upheld an appeal or rejected it."""

    trace_id: str
    upheld: bool
    why: str
    by: str = ""

    @property
    def ref(self) -> str:
        return self.trace_id
