"""Texts that callers make up, screened before a call sees them; contract/wire.py says which are what.

An identifier is kept, compared and shown as it came, so one that looks like a secret is refused, and not repeated. A
reason is kept without its secrets. What has to say something does not by blanks and marks that are not seen.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec.inspect import AnyType, DictType, Metadata, StrType, StructType, Type, UnionType, VarTupleType, type_info

from ..errors import InvalidRequest
from ..llm.local import blank
from ..masking import without_secrets

SECRET = "it looks like a secret, or holds one, and would be kept and shown as it is; name it otherwise"
BLANK = "it has no text but blanks and marks that are not seen"
Handler = Callable[..., Awaitable[Any]]


class Found(NamedTuple):
    """A text of a request, where it stands, what it is, and whether it has to say something."""

    path: str
    text: str
    what: str  # of Meta's `screened`
    needed: bool


Finds = Callable[[Any, str], Iterator[Found]]  # in a value at a path


def screened(call: Handler) -> Handler:
    """The call, with its body screened.

    Raises:
      InvalidRequest: a text in it is refused; the error names the field.
    """
    if "data" not in inspect.signature(call).parameters:
        return call
    finds = finder(type_info(get_type_hints(call, include_extras=True)["data"]))
    if finds is None:
        return call

    @functools.wraps(call)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        kwargs["data"] = _screen(kwargs["data"], list(finds(kwargs["data"], "$")))
        return await call(*args, **kwargs)

    wrapped.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
    return wrapped


def refuse_secret(path: str, text: str) -> None:
    """Raises InvalidRequest if the text looks like a secret."""
    if without_secrets(text) != text:
        raise _refusal(path, SECRET)


def _screen(data: Any, found: list[Found]) -> Any:
    for one in found:
        if one.needed and blank(one.text):
            raise _refusal(one.path, BLANK)
    named = [one for one in found if one.what == "identifier" and one.text]
    together = "\n".join([one.text for one in named])
    if without_secrets(together) != together:  # nearly always not: one look instead of many
        for one in named:
            refuse_secret(one.path, one.text)
    reasons = {one.path.removeprefix("$."): without_secrets(one.text) for one in found if one.what == "reason"}
    return msgspec.structs.replace(data, **reasons) if reasons else data


def _refusal(path: str, why: str) -> InvalidRequest:
    path = path.removeprefix("$.")
    return InvalidRequest(f"{path}: {why}", errors=[{"path": path, "detail": why}])


def finder(kind: Type) -> Finds | None:
    """What finds the texts of a kind of value that are screened; None where it has none."""
    match kind:
        case Metadata(type=StrType() as text, extra={"screened": what}):
            return _text(what, needed=bool(text.min_length))
        case Metadata(type=bare):
            return finder(bare)
        case UnionType(types=kinds):
            return next((finds for one in kinds if (finds := finder(one)) is not None), None)
        case VarTupleType(item_type=item) if (finds := finder(item)) is not None:
            return _each(finds)
        case DictType(value_type=value) if not isinstance(value, AnyType):
            return _keys
        case StructType(fields=fields):
            return _fields({f.name: finds for f in fields if (finds := finder(f.type)) is not None})
    return None


def _text(what: str, *, needed: bool) -> Finds:
    def finds(value: Any, path: str) -> Iterator[Found]:
        if isinstance(value, str):
            yield Found(path, value, what, needed)

    return finds


def _each(item: Finds) -> Finds:
    def finds(value: Any, path: str) -> Iterator[Found]:
        for place, one in enumerate(value or ()):
            yield from item(one, f"{path}[{place}]")

    return finds


def _keys(value: Any, path: str) -> Iterator[Found]:
    """The names in a map whose values are figures; a map of anything is a caller's own text."""
    for key in value or ():
        yield Found(f"{path} key", key, "identifier", needed=False)


def _fields(of: dict[str, Finds]) -> Finds | None:
    def finds(value: Any, path: str) -> Iterator[Found]:
        if isinstance(value, msgspec.Struct):
            for name, inner in of.items():
                yield from inner(getattr(value, name), f"{path}.{name}")

    return finds if of else None
