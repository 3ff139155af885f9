"""The log of Personalizer and of VW's decision service: one JSON document per event (dsjson).

`a` are the actions by rank (numbered from 1), `p` their probabilities, `c` the context with its actions in `_multi`;
the first of `a` was taken, at a cost of `_label_cost`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import field

from strategist.errors import BadLog

from .log import BadRows


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a line."""

    cost: float = field(name="_label_cost")
    probability: float | None = field(name="_label_probability", default=None)
    skipped: bool = field(name="_skipLearn", default=False)
    a: list[int]
    p: list[float]
    c: dict[str, Any]


def rows(file: Path, bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of the events that were activated."""
    with file.open("rb") as opened:
        lines = ((number, line) for number, line in enumerate(opened, 1) if line.strip())
        yield from bad.converted(lines, lambda number, line: (number, columns(line)))


def columns(line: bytes) -> dict[str, Any]:
    """One event as columns.

    Raises:
      BadLog: it contradicts itself, or was never activated.
      msgspec.MsgspecError: it is no event.
    """
    event = msgspec.json.decode(line, type=Event)
    offered = event.c.get("_multi")
    if event.skipped:
        raise BadLog("the event was not activated (_skipLearn), so nobody knows what came of it")
    if not isinstance(offered, list) or not event.a or len(event.a) != len(event.p):
        raise BadLog("it has not the same number of actions in a and p, or no c._multi")
    if any(not 1 <= place <= len(offered) for place in event.a):
        raise BadLog(f"a names actions that c._multi, with {len(offered)}, does not have")
    names = [_name(offered[place - 1], place) for place in event.a]
    return {
        "action": names[0],
        "actions": names,
        "propensity": event.p[0] if event.probability is None else event.probability,
        "probabilities": event.p,
        "reward": -event.cost,
        "facts": dict(_scalars({name: value for name, value in event.c.items() if name != "_multi"})),
    }


def _name(offered: Any, place: int) -> str:
    """What an action is called: its tag, its id, or its place."""
    told = offered if isinstance(offered, dict) else {}
    inner = told.get("i") if isinstance(told.get("i"), dict) else {}
    name = told.get("_tag") or told.get("id") or (inner or {}).get("id")
    return str(name) if name is not None else str(place)


def _scalars(told: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a context under its path; namespaces that begin with _ are VW's own."""
    inside: list[tuple[str, Any]] = []
    if isinstance(told, dict):
        inside = [(str(name), value) for name, value in told.items() if not str(name).startswith("_")]
    elif isinstance(told, list):
        inside = [(str(at), value) for at, value in enumerate(told)]
    elif told is not None:
        yield path, told
    for name, value in inside:
        yield from _scalars(value, f"{path}.{name}" if path else name)
