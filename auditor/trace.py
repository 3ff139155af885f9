"""A decision as it is journalled: enough to recompute it, to credit it and to explain it."""

from typing import Any, Literal

import msgspec

from strategist import HeadChoice, Mode, Situation, Step
from strategist.features.bins import Fact

from .changes import MemoryKind
from .comparison import Beside, Weighed, weigh
from .wording import Plan

LearnOn = Literal["feedback", "complete", "uses"]
ASKED_TIERS = ("cheap", "premium")  # at the gate's second head
BLOCK, PROCEED = "BLOCK", "PROCEED"


class Lesson(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A reflection by its id, with what it cost."""

    reflection_id: str
    nano_usd: int = 0

    @property
    def usd(self) -> float:
        return self.nano_usd / 1e9


class Offered(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """A memory that a decision or a session would have told of, and whether it was withheld: as if it were unknown.

    probability: of its being withheld, in (0, 1); it was drawn before anything else was.
    """

    episode_id: int
    withheld: bool
    probability: float
    error_class: str  # of what is no episode, its kind
    origin: str
    kind: MemoryKind = "episode"


class Trace(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One decision.

    facts and text_codes are the featurizer's raw inputs; heads keep the keys, masks, probabilities
    and values; execution is what the caller was told beyond the action.
    """

    trace_id: str
    namespace: str
    task_id: str | None
    previous_trace_id: str | None
    point: str
    request: Any  # what was asked, as it was given
    facts: dict[str, Fact]
    text_codes: tuple[str, ...] = ()
    own_facts: dict[str, Fact] = {}
    heads: tuple[HeadChoice, ...]
    rule: str | None = None  # what the point's fixed rule would have done
    mode: Mode
    learn_on: LearnOn
    terminal: bool  # whether the task ends here unless the feedback says otherwise
    cited: tuple[int, ...] = ()  # episodes the answer rests on
    signature: str | None = None  # of the action as planned, for the cases
    conditions: tuple[str, ...] = ()  # `key=value`, under which it is to run
    plan: Plan | None = None  # what words are to learn from
    advised: str | None = None  # signature of the command the answer offers instead
    abstained: bool = False
    degraded: tuple[str, ...] = ()
    execution: dict[str, Any]
    policy_version: int
    settings_hash: str
    spec_hash: str
    beside: Beside | None = None  # who did not act, and what it would have done
    acted: int = 0  # the challenger that acted, by the event since which it stands there; 0: the champion
    lesson: Lesson | None = None  # the reflection that the answer shows, or that a capture is owed
    steered: int = 0  # the event that set the point's policy last; 0: it is as the settings say
    offered: tuple[Offered, ...] = ()  # what was drawn at recall
    lag_ms: float = 0.0  # how long ago the replica that decided had last read the whole log; alone on it, 0

    @property
    def action(self) -> str:
        return self.heads[0].action

    @property
    def tier(self) -> str | None:
        return self.heads[1].action if len(self.heads) > 1 else None

    @property
    def spent_usd(self) -> float:
        """On the answer's own reflection, where it had one made."""
        return self.lesson.usd if self.lesson is not None and self.tier in ASKED_TIERS else 0.0

    @property
    def propensity(self) -> float:
        product = 1.0
        for head in self.heads:
            product *= head.propensity
        return product

    @property
    def explored(self) -> bool:
        return any(head.exploration == "explore" for head in self.heads)

    @property
    def situation(self) -> Situation:
        return self.heads[0].situation

    @property
    def weighed(self) -> Weighed | None:
        """How the decision weighs in a comparison with who did not act."""
        if self.beside is None:
            return None
        head = self.heads[0]
        return weigh(self.beside, head.actions, head.probabilities, head.action, head.rule)

    @property
    def audit_weight(self) -> float:
        """How many blocks the decision stands for, if it is one that was let through; else 0."""
        move = self.heads[0].move
        return move.moved / move.share / self.propensity if move is not None and move.target == self.action else 0.0

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(Step(head.situation, head.action) for head in self.heads)
