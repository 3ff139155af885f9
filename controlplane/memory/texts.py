"""The texts that memory is embedded as, and found by its words in."""

from auditor.events import Episode

from ..llm.redaction import redacted


def plan_text(goal: str, planned_action: str) -> str:
    """What a plan, and the memory of one, is embedded as."""
    return redacted("\n".join(part for part in (goal, planned_action) if part))


def episode_text(episode: Episode) -> str:
    return plan_text(episode.goal, episode.planned_action or " ".join(episode.tool_chain))


def episode_words(episode: Episode, cause: str) -> tuple[str, str]:
    """What an episode is found by its words in: all that was said of it, and what of that tells most."""
    fixed = redacted(episode.resolution)
    return "\n".join((episode_text(episode), *episode.tool_chain, fixed, *episode.tags)), cause
