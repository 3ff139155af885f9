"""What language models made of captured failures, as events."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .event import Event
from .money_events import Tier

MOST_LISTED = 8
Sentence = Annotated[str, Meta(min_length=1, max_length=600)]
Phrase = Annotated[str, Meta(min_length=1, max_length=200)]
Phrases = Annotated[tuple[Phrase, ...], Meta(max_length=MOST_LISTED)]


class Insight(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a failure teaches: the one form in which a model's answer is taken."""

    root_cause: Sentence
    preconditions: Phrases
    resolution_strategy: Annotated[str, Meta(min_length=1, max_length=1000)]
    environment_factors: Phrases
    confidence: Annotated[float, Meta(ge=0, le=1)]


class Reflected(Event, frozen=True, kw_only=True, tag="reflection"):
    """An episode has a reflection: an insight of its own, or (tier `cached`) that of another reflection, `of`.

    `models` and `prompts` are those that were asked, `nano_usd` what that cost, `by` the key that captured the episode,
    `trace_id` the decision that had it made. A reuse says how similar the two episodes are, and whether it was drawn to
    be checked; what was made because a reuse was wrong `replaces` it.
    """

    reflection_id: str
    episode_id: int
    tier: Tier
    insight: Insight | None
    of: str | None = None
    models: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    nano_usd: int = 0
    by: str = ""
    trace_id: str | None = None
    similarity: float = 0.0
    drawn: bool = False
    replaces: str | None = None

    @property
    def ref(self) -> str:
        return self.reflection_id

    @property
    def root(self) -> str:
        """The reflection that the insight is of."""
        return self.of or self.reflection_id


class ReflectionEvicted(Event, frozen=True, kw_only=True, tag="reflection_evicted"):
    """A reflection was bad: it is used no more, nor is what was taken from it, and its episode gets no other.

    Its insight is overwritten.
    """

    reflection_id: str
    episode_id: int
    by: str = ""

    @property
    def ref(self) -> str:
        return self.reflection_id


class ReuseChecked(Event, frozen=True, kw_only=True, tag="reuse_checked"):
    """Whether reusing the reflection `of` was right, or would have been, by what a model made of the same failure.

    `reflection_id` is the reuse; where none was made (`reused` is false), the reflection that was made in its place.
    `nano_usd` is what it cost to know. No text of either is in it.
    """

    reflection_id: str
    of: str
    error_class: str
    similarity: float
    agreed: bool
    reused: bool
    nano_usd: int = 0

    @property
    def ref(self) -> str:
        return self.reflection_id
