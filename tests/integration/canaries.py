"""Texts that tell whose they are: each is sent once, by one tenant, and must never be seen by another.

Every text field of every request gets one, found by walking the structs of the contract. A field of a kind that is not
known here is an error, so that none is left out.
"""

import re
from collections.abc import Callable
from itertools import count
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT

CANARY = re.compile(r"cnry[0-9]+q[0-9]+z")
_numbers = count(1)
# Fields whose values cannot be any text, and what is sent instead; `None` leaves the field out.
OTHERWISE: dict[str, Any] = {
    "point": None,  # a name of ours
    "scopes": None,  # the same
    "url": "https://cnry.invalid/x",  # an address: of news that never comes nothing is sent there
    "WebhookRequest.kinds": ["swung"],
    "filters": None,  # its keys are names of ours, and a filter by a new text finds nothing
    "min_similarity": -1.0,  # everything is near enough
    "images": None,  # no text
    "modality": None,  # a name of ours
    "SearchRequest.query": None,  # of other modalities, which test_modalities.py crosses tenants with
    "PolicyRequest.version": 0,  # of what was never changed
    "weights": None,  # its keys are names of ours
    "actions": ["BLOCK"],
    "entry": None,  # what was exported; the caller says which
    "model": "pointsman/auto",  # a name of ours
    "role": "user",  # whose words a model answers
    "temperature": 0.0,  # so that what it answers is kept
}
REFERENCES = {"trace_id", "previous_trace_id", "episode_id", "checkpoint_id"}  # of what is there; the caller says which
SHARED = {"namespace", "task_id"}  # what joins requests: one text per tenant, or nothing comes together
NAMES = {"tenant"}  # of tenants, which operators give


def canary(owner: int) -> str:
    """A text of the tenant with this number."""
    return f"cnry{owner}q{next(_numbers)}z"


def shared(owner: int, field: str) -> str:
    """The text that all of a tenant's requests have in such a field."""
    return f"cnry{owner}q{sorted(SHARED).index(field)}0000000z"


def found(text: str) -> set[str]:
    """All canaries in a text."""
    return set(CANARY.findall(text))


def owner_of(text: str) -> int:
    return int(text[4:].partition("q")[0])


def texts_of(owner: int) -> Callable[[str], str]:
    """What to fill a tenant's requests with: a canary, or in some fields what all of them share."""
    return lambda field: shared(owner, field) if field in SHARED else canary(owner)


def filled(struct: type[msgspec.Struct], text: Callable[[str], str], **given: Any) -> dict[str, Any]:
    """A request of this kind with a text in every field that takes one; `given` are its references."""
    hints, body = get_type_hints(struct, include_extras=True), {}
    for field in msgspec.structs.fields(struct):
        name, own = field.name, f"{struct.__name__}.{field.name}"
        if {name, own} & OTHERWISE.keys() or name in REFERENCES or name in NAMES:
            value = given.get(name, OTHERWISE.get(own, OTHERWISE.get(name)))
        else:
            value = _value(hints[name], name, text, field.default, given)
        if value is not None:
            body[name] = value
    return body


def _value(kind: Any, name: str, text: Callable[[str], str], default: Any, given: dict[str, Any]) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return filled(kind, text, **given)
    if kind in (str, Any):
        return text(name)
    if origin in (Union, UnionType):
        kind = next(one for one in inner if one not in (type(None), msgspec.UnsetType))
        return _value(kind, name, text, default, given)
    if origin is tuple:
        return [_value(inner[0], name, text, NODEFAULT, given)]
    if origin is dict:
        return {text(name): text(name) if inner[1] is Any else 1.0}
    if origin is Literal or kind in (int, float, bool):
        return (inner[0] if inner else 1) if default in (NODEFAULT, msgspec.UNSET) else default
    raise TypeError(f"say how a text gets into {kind}")


def texts(struct: type[msgspec.Struct]) -> int:
    """How many texts a request of this kind can hold, by its JSON schema; what is sent otherwise not counted."""
    schemas = msgspec.json.schema_components([struct])[1]
    apart = OTHERWISE.keys() | REFERENCES | NAMES

    def of(schema: Any, owner: str = "") -> int:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return of(schemas[name], name)
        if "anyOf" in schema:
            return max(of(one) for one in schema["anyOf"])
        match schema.get("type"):
            case "string":
                return 1
            case "array":
                return of(schema["items"])
            case "object" if "properties" in schema:
                named = schema["properties"].items()
                return sum(of(inner) for name, inner in named if not {name, f"{owner}.{name}"} & apart)
            case "object":
                return 1 + (not schema.get("additionalProperties"))  # a key, and a value that may be any text
        return 0

    return of(schemas[struct.__name__], struct.__name__)
