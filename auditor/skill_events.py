"""What a skill is called and how it goes, as an event."""

from typing import Annotated

import msgspec
from msgspec import Meta

from .event import Event
from .reflection_events import MOST_LISTED, Phrase, Phrases, Sentence


class SkillText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A skill in words: the one form in which a model's answer is taken."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{2,59}$")]
    docstring: Sentence
    preconditions: Phrases
    steps: Annotated[tuple[Phrase, ...], Meta(min_length=1, max_length=MOST_LISTED)]


class SkillDescribed(Event, frozen=True, kw_only=True, tag="skill_described"):
    """A model put the skill that an episode's fix became into words; `by` is the key that paid."""

    episode_id: int
    text: SkillText
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    nano_usd: int = 0
    by: str = ""

    @property
    def ref(self) -> str:
        return f"skill {self.episode_id}"
