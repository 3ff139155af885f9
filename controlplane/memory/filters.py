"""What a search may be narrowed by, each filter known by its name."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ..masking import without_secrets
from .captured import tool_family
from .space import EpisodeRecord

Fits = Callable[[EpisodeRecord], bool]
AT_HAND = ("error_class", "origin")  # of these an episode need not be unpacked
FIELDS = ("error_class", "license", "origin", "episode_type", "tags", "task_id")
TAKES = f"{', '.join(FIELDS)}, tool_family and custom.<key> (a value, or a list of values), since and until (a time)"
CUSTOM = "custom."


def filters_of(asked: Mapping[str, object]) -> dict[str, Fits]:
    """What each filter asks of an episode, by name.

    Raises:
      ValueError: there is no such filter, or it does not take such a value.
    """
    return {name: _filter(name, value) for name, value in asked.items()}


def _filter(name: str, value: object) -> Fits:
    if name in ("since", "until"):
        at = _time(name, value)
        return (lambda record: record.at >= at) if name == "since" else (lambda record: record.at <= at)
    read = _reading(name)
    wanted = value if isinstance(value, list) else [value]
    if any(isinstance(each, dict | list) for each in wanted):
        raise ValueError(f"filters.{name} takes a value, or a list of values")
    return lambda record: _has(read(record), wanted)


def _reading(name: str) -> Callable[[EpisodeRecord], object]:
    """What of an episode a filter of this name looks at."""
    if name in AT_HAND:
        return lambda record: getattr(record, name)
    if name in FIELDS:
        return lambda record: getattr(record.episode, name)
    if name == "tool_family":
        return lambda record: tool_family(record.episode)
    if name.startswith(CUSTOM) and name != CUSTOM:
        return lambda record: record.episode.custom.get(name.removeprefix(CUSTOM))
    raise ValueError(f"filters has {without_secrets(name)}; it takes {TAKES}")


def _has(has: object, wanted: list[object]) -> bool:
    return any(each in wanted for each in has) if isinstance(has, tuple | list) else has in wanted


def _time(name: str, value: object) -> float:
    """Seconds since 1970, or a date and time as ISO 8601 writes it; without a zone it is UTC."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"filters.{name} takes seconds since 1970, or a time such as 2026-11-27T09:30:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
