"""Texts that callers make up, screened before a call sees them; contract/wire.py says which are what.

An identifier is kept, compared and shown as it came, so one that looks like a secret is refused, and not repeated. A
reason is kept without its secrets. What has to say something does not by blanks and marks that are not seen.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

import msgspec
from msgspec.inspect import AnyType, DictType, Metadata, StrType, StructType, Type, UnionType, VarTupleType, type_info

from ..errors import InvalidRequest
from ..llm.local import blank
from ..masking import without_secrets

SECRET = "it looks like a secret, or holds one, and would be kept and shown as it is; name it otherwise"
BLANK = "it has no text but blanks and marks that are not seen"
KNOWN = 10_000  # names that were looked at; most come again
Handler = Callable[..., Awaitable[Any]]
Check = Callable[[Any], None]  # raises Refused


class Refused(Exception):
    """A text that is not taken, where it stands and why."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(why)
        self.path, self.why = path, why

    def within(self, step: str) -> "Refused":
        return Refused(step + self.path, self.why)


def screened(call: Handler) -> Handler:
    """The call, with its body screened.

    Raises:
      InvalidRequest: a text in it is refused; the error names the field.
    """
    if "data" not in inspect.signature(call).parameters:
        return call
    kind = type_info(get_type_hints(call, include_extras=True)["data"])
    check, reasons = checker(kind), _reasons(kind)
    if check is None:
        return call

    @functools.wraps(call)
    async def wrapped(*args: Any, **kwargs: Any) -> Any:
        data = kwargs["data"]
        _refuse(check, data, "")
        if data is not None and reasons:
            kept = {name: without_secrets(getattr(data, name)) for name in reasons}
            kwargs["data"] = msgspec.structs.replace(data, **kept)
        return await call(*args, **kwargs)

    wrapped.__signature__ = inspect.signature(call)  # type: ignore[attr-defined]
    return wrapped


def refuse_secret(name: str, text: str) -> None:
    """Raises InvalidRequest if what is sent under this name looks like a secret."""
    _refuse(_name(needed=False), text, name)


def _refuse(check: Check, value: Any, name: str) -> None:
    try:
        check(value)
    except Refused as refused:
        path = (name + refused.path).removeprefix(".")
        raise InvalidRequest(f"{path}: {refused.why}", errors=[{"path": path, "detail": refused.why}]) from None


def checker(kind: Type) -> Check | None:
    """What checks the texts of a kind of value that are screened; None where it has none."""
    match kind:
        case Metadata(type=StrType(min_length=least), extra={"screened": "identifier"}):
            return _name(needed=bool(least))
        case Metadata(type=StrType(min_length=least), extra={"screened": _}):
            return _words if least else None
        case Metadata(type=bare):
            return checker(bare)
        case UnionType(types=kinds):
            return next((check for one in kinds if (check := checker(one)) is not None), None)
        case VarTupleType(item_type=item) if (check := checker(item)) is not None:
            return _each(check)
        case DictType(value_type=value) if not isinstance(value, AnyType):
            return _keys
        case StructType(fields=fields):
            return _fields({f.name: check for f in fields if (check := checker(f.type)) is not None})
    return None


def _reasons(kind: Type) -> list[str]:
    """The fields of a request that are reasons."""
    match kind:
        case Metadata(type=bare):
            return _reasons(bare)
        case UnionType(types=kinds):
            return [name for one in kinds for name in _reasons(one)]
        case StructType(fields=fields):
            return [f.name for f in fields if isinstance(f.type, Metadata) and f.type.extra == {"screened": "reason"}]
    return []


@functools.lru_cache(KNOWN)
def _look(text: str, *, needed: bool) -> None:
    """Raises Refused where it is no name. What is refused is not remembered, so no secret is."""
    if needed and blank(text):
        raise Refused("", BLANK)
    if without_secrets(text) != text:
        raise Refused("", SECRET)


def _name(*, needed: bool) -> Check:
    def check(value: Any) -> None:
        if isinstance(value, str):
            _look(value, needed=needed)

    return check


def _words(value: Any) -> None:
    if isinstance(value, str) and blank(value):
        raise Refused("", BLANK)


def _keys(value: Any) -> None:
    """The names in a map whose values are figures; a map of anything is a caller's own text."""
    for key in value if isinstance(value, dict) else ():
        try:
            _look(key, needed=False)
        except Refused as refused:
            raise refused.within(" key") from None


def _each(item: Check) -> Check:
    def check(value: Any) -> None:
        for place, one in enumerate(value if isinstance(value, tuple) else ()):
            try:
                item(one)
            except Refused as refused:
                raise refused.within(f"[{place}]") from None

    return check


def _fields(of: dict[str, Check]) -> Check | None:
    def check(value: Any) -> None:
        if isinstance(value, msgspec.Struct):
            for name, inner in of.items():
                try:
                    inner(getattr(value, name))
                except Refused as refused:
                    raise refused.within(f".{name}") from None

    return check if of else None
