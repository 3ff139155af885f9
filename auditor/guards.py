"""Operators' guard rules: where all of a rule's conditions hold, it forces some actions or forbids them.

Texts are compared with patterns in which `*` stands for any text and everything else for itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Pattern = Annotated[str, Meta(min_length=1, max_length=512)]
MOST_GUARDS = 64


class Guard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule. `actions` are patterns of verdicts or candidates; a condition that is not given always holds."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    effect: Literal["force", "forbid"]
    actions: Annotated[tuple[Pattern, ...], Meta(min_length=1, max_length=16)]
    tool: Pattern | None = None
    command: Pattern | None = None
    environment: Annotated[dict[str, Any], Meta(max_length=16)] = {}

    @property
    def reason(self) -> str:
        return f"the guard rule {self.name!r} {self.effect}s {', '.join(self.actions)}"

    def holds(self, facing: "Facing") -> bool:
        """Whether all of its conditions hold."""
        around = facing.environment
        return (
            (self.tool is None or fits(self.tool, facing.tool))
            and (self.command is None or fits(_one_line(self.command), _one_line(facing.command)))
            and all(k in around and fits(str(value), str(around[k])) for k, value in self.environment.items())
        )

    def names(self, action: str) -> bool:
        """Whether the rule is about the action."""
        return any(fits(pattern, action) for pattern in self.actions)


class Facing(msgspec.Struct, frozen=True, kw_only=True):
    """What guard rules look at: the planned command with its tool, and the conditions it is to run under."""

    tool: str = ""
    command: str = ""
    environment: Mapping[str, Any] = {}


def fits(pattern: str, text: str) -> bool:
    """Whether the text is as the pattern says. It looks for one piece after the other and never goes back.

    >>> fits("git push*", "git push --force"), fits("*rm -rf*", "ls"), fits("a*a", "a")
    (True, False, False)
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    *middle, last = rest
    if not text.startswith(first) or not text.endswith(last) or len(first) + len(last) > len(text):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def forcing(guards: Iterable[Guard], facing: Facing) -> Guard | None:
    """The first rule that forces something here."""
    return next((guard for guard in guards if guard.effect == "force" and guard.holds(facing)), None)


def forbidden(guards: Iterable[Guard], facing: Facing, actions: Sequence[str]) -> dict[str, str]:
    """Which of the actions are forbidden here, each with the reason of the first rule that says so."""
    found: dict[str, str] = {}
    for guard in guards:
        if guard.effect == "forbid" and guard.holds(facing):
            found = {action: guard.reason for action in actions if guard.names(action)} | found
    return found


def _one_line(command: str) -> str:
    """A command with one space wherever there are some, so that more of them are no way around a rule."""
    return " ".join(command.split())
