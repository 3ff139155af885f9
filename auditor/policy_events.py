"""Events of a policy's life: what operators set at points, and what agents contest."""

from typing import Literal

from .event import Event
from .override import Override
from .rival import Spec


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


class ChallengerSet(Event, frozen=True, kw_only=True, tag="challenger_set"):
    """An operator set a challenger beside a point's policy, or another share of the tasks it acts on.

    `rests_on` is the place whose learnt state it begins with, if it begins with a checkpoint's.
    """

    point: str
    spec: Spec
    share: float
    rests_on: int | None = None
    by: str = ""
    why: str


class ChallengerEnded(Event, frozen=True, kw_only=True, tag="challenger_ended"):
    """An operator took the challenger away, or the server did, for it was proven worse while it acted."""

    point: str
    outcome: Literal["withdrawn", "rolled_back"]
    by: str = ""
    why: str


class Promoted(Event, frozen=True, kw_only=True, tag="promoted"):
    """The challenger took the champion's place; `override` is all that is set from here on, `was` what was before."""

    point: str
    was: Override
    override: Override
    by: str = ""
    why: str


class RolledBack(Event, frozen=True, kw_only=True, tag="rolled_back"):
    """The former champion is back in its place; `override` is all that is set from here on."""

    point: str
    override: Override
    by: str = ""
    why: str
