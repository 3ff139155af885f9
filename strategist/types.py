"""The words of a choice: a state, what is eligible in it, what was chosen, and what came of it.

A state is a few *chains*, one per tiling: keys from coarse to fine. Time suffixes follow rlax:
`_tm1` is before the transition, `_t` after it. None of these can be part of a cycle, so the garbage
collector need not look at them (`gc=False`): thousands stay alive while decisions wait for feedback.
"""

from typing import Literal, Self

import msgspec

Chain = tuple[str, ...]
Exploration = Literal["explore", "exploit", "only", "rule", "audit"]


class Move(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A share of what one action is preferred by goes to another before the draw; `moved` is the probability it was."""

    source: str
    target: str
    share: float
    moved: float = 0.0


class State(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Keys the tables are read and written at; one chain per tiling, coarse to fine.

    words: hashes of the words of the text, which linear values read beside the keys.
    sketch: sign bits of the text's embedding, by which similar cases are found; empty without a text.
    """

    chains: tuple[Chain, ...]
    words: tuple[int, ...] = ()
    sketch: bytes = b""

    def after(self, head: str, action: str) -> Self:
        """The state of the head that follows once `head` has taken `action`."""
        chains = tuple(tuple(f"{head}={action}>{key}" for key in chain) for chain in self.chains)
        return type(self)(chains, self.words, self.sketch)


class Eligible(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What may be chosen, and for each action that may not, the reason."""

    actions: tuple[str, ...]
    masked: dict[str, str] = {}
    move: Move | None = None

    def without(self, action: str, reason: str) -> Self:
        """The same set with one more action masked (unchanged when it is not in the set)."""
        if action not in self.actions:
            return self
        left = tuple(a for a in self.actions if a != action)
        return type(self)(actions=left, masked={**self.masked, action: reason}, move=self.move)


class Situation(msgspec.Struct, frozen=True, gc=False):
    """Where a head stands: its state, its eligible actions and the rule's action (the prior), if it has a rule.

    known: what is known of each action's reward before it is taken [A], a price; empty where nothing is. Only the rest
      is learnt.
    probabilities: with which the actions were drawn [A], where they are logged.
    """

    state: State
    actions: tuple[str, ...]
    rule: str | None = None
    known: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def known_of(self, action: str) -> float:
        return self.known[self.actions.index(action)] if self.known else 0.0


class HeadChoice(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One head's choice with everything needed to recompute it."""

    head: str
    state: State
    actions: tuple[str, ...]  # eligible, in the order of the vectors below
    masked: dict[str, str]  # action -> why it was not eligible
    probabilities: tuple[float, ...]  # [A]
    q_values: tuple[float, ...]  # [A]
    action: str
    propensity: float
    exploration: Exploration
    draw: float  # the uniform number the choice was made with
    visits: int  # of the chosen action in the finest cell that knows it
    cell: str = ""  # that cell's key
    rule: str | None = None
    known: tuple[float, ...] = ()  # part of each q-value [A] that was not learnt
    move: Move | None = None  # what went from one action to another

    @property
    def situation(self) -> Situation:
        return Situation(self.state, self.actions, self.rule, self.known, self.probabilities)

    @property
    def q_value(self) -> float:
        return self.q_values[self.actions.index(self.action)]


class Step(msgspec.Struct, frozen=True, gc=False):
    """One head's part of a decision: the situation and the action taken in it."""

    situation: Situation
    action: str


class Transition(msgspec.Struct, frozen=True, gc=False):
    """One decision with its reward and successor. The discount belongs to it: 0 ends a trajectory.

    steps holds the heads in the order they chose (verdict, tier); next_situation is the first
    head of the task's next decision, with its *logged* eligible set.
    """

    steps: tuple[Step, ...]
    reward: float
    discount: float
    next_situation: Situation | None = None
    truncated: bool = False

    @classmethod
    def termination(cls, steps: tuple[Step, ...], reward: float) -> Self:
        """The task ended here."""
        return cls(steps, reward, 0.0)

    @classmethod
    def truncation(cls, steps: tuple[Step, ...], reward: float) -> Self:
        """No successor was seen in time; its value is unknown and counts as 0."""
        return cls(steps, reward, 0.0, truncated=True)

    @classmethod
    def transition(cls, steps: tuple[Step, ...], reward: float, discount: float, successor: Situation) -> Self:
        """The task went on."""
        return cls(steps, reward, discount, successor)


MOST_HELD = 64  # decisions that are folded with the one they led to; where there are more, the farthest go alone


class Link(msgspec.Struct, frozen=True, gc=False):
    """A transition of those that are folded together, last first; `after` is the place of the one that it led to.

    after: None where that one is not among them.
    """

    transition: Transition
    after: int | None = None


class Update(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one fold did to the first head's chosen action."""

    target: float
    q_before: float
    td_error: float
    discount: float
    truncated: bool
    visits: int
