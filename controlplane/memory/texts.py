"""The texts that memory is embedded as, and found by its words in."""

from auditor.events import Episode

from ..llm.local import root_cause
from ..llm.redaction import redacted, unlinked


def plan_text(goal: str, planned_action: str) -> str:
    """What a plan, and the memory of one, is embedded as."""
    return redacted("\n".join(part for part in (goal, planned_action) if part))


def episode_text(episode: Episode) -> str:
    return plan_text(episode.goal, episode.planned_action or " ".join(episode.tool_chain))


def episode_words(episode: Episode) -> str:
    """What an episode is found by its words in."""
    said = episode_text(episode), *episode.tool_chain, cause_of(episode), redacted(episode.resolution), *episode.tags
    return "\n".join(said)


def cause_of(episode: Episode) -> str:
    """The line of its trace that says what went wrong, without links."""
    return unlinked(root_cause(episode.error_trace))
