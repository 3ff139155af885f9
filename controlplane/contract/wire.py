"""What the wire is made of: bounds, and the two bases of everything that is sent and answered."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

MAX_NAME, MAX_TEXT, MAX_TRACE, MAX_CANDIDATES = 256, 8192, 65536, 64
MAX_IMAGES, MAX_IMAGE = 4, 700_000  # of a capture, and characters of one in base64
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=MAX_NAME)]
Named = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
# How http/screening.py looks at a text: it is kept as it came, or without secrets, or only has to say something.
IDENTIFIES, REASONS, SAYS = ({"screened": how} for how in ("identifier", "reason", "words"))
Identifier = Annotated[str, Meta(max_length=MAX_NAME, extra=IDENTIFIES)]
Identified = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, extra=IDENTIFIES)]
Reason = Annotated[str, Meta(max_length=MAX_TEXT, extra=REASONS)]
Filled = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT, extra=SAYS)]
Id = Annotated[int, Meta(ge=1, le=2**53)]
FreeMap = dict[str, Any]
if TYPE_CHECKING:
    Conditions = FreeMap  # what it is inside
else:
    Conditions = FreeMap | Annotated[list[Name], Meta(max_length=64)]
Tier = Literal["local", "free", "starter", "pro", "enterprise"]
Scope = Literal["decide", "feedback", "capture", "read", "admin"]

_KEYED = re.compile(r"([^=:]*[^=:\s])\s*(?:=|:)\s*(.*)", re.DOTALL)


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class Conditioned(Request, frozen=True, kw_only=True):
    """A request with conditions: a map, or a list of texts, of which a map is made on the way in."""

    def __post_init__(self) -> None:
        for name in ("environment", "preconditions", "current_state"):
            given: object = getattr(self, name, None)
            if isinstance(given, list):
                msgspec.structs.force_setattr(self, name, listed(given))


def listed(conditions: Sequence[str]) -> FreeMap:
    """Conditions that were listed, as a map; one without `=` or `:` is a bare fact.

    >>> listed(["tool=kubectl", "OS: Linux", "python3 installed"])
    {'tool': 'kubectl', 'OS': 'Linux', 'python3 installed': True}
    """
    return dict(map(_condition, conditions))


def _condition(text: str) -> tuple[str, str | bool]:
    said = _KEYED.fullmatch(text.strip())
    return (said[1], said[2]) if said else (text.strip(), True)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything a client gets."""
