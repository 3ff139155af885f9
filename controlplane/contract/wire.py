"""What the wire is made of: bounds, and the two bases of everything that is sent and answered."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

MAX_TEXT, MAX_TRACE, MAX_CANDIDATES = 8192, 65536, 64
MAX_IMAGES, MAX_IMAGE = 4, 700_000  # of a capture, and characters of one in base64
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Name = Annotated[str, Meta(max_length=256)]
Filled = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Named = Annotated[str, Meta(min_length=1, max_length=256)]
Id = Annotated[int, Meta(ge=1, le=2**53)]
FreeMap = dict[str, Any]
Tier = Literal["local", "free", "starter", "pro", "enterprise"]
Scope = Literal["decide", "feedback", "capture", "read", "admin"]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything a client sends."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything a client gets."""
