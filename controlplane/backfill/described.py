"""What an operator says of other databases and files: `origins.toml`."""

import tomllib
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from auditor.passage_events import PassageKind

from ..errors import BadSetting
from ..masking import without_secrets

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One origin: a SQLite file with a `table` or a `query`, or without either a file of JSON lines.

    `key`, `text`, `title`, `modified`, `license_from`, `enhancement` and `metadata` name columns or fields.
    """

    name: Name
    path: Name
    table: str | None = None
    query: str | None = None
    key: Name
    text: Annotated[tuple[Name, ...], Meta(min_length=1)]
    title: str | None = None
    modified: str | None = None
    metadata: tuple[Name, ...] = ()
    enhancement: str | None = None
    license: Name | None = None
    license_from: str | None = None
    what: Name = "documents"
    kind: PassageKind = "record"
    namespace: Annotated[str, Meta(max_length=256)] = ""

    def __post_init__(self) -> None:
        if self.table is not None and self.query is not None:
            raise ValueError(f"{self.name}: give table or query, not both")
        if any(without_secrets(said) != said for said in (self.name, self.what, self.namespace)):
            raise ValueError("name, what and namespace are kept and shown; one of them looks like a secret")

    @property
    def columns(self) -> list[str]:
        """All that are read."""
        single = (self.key, self.title, self.modified, self.enhancement, self.license_from)
        return [*filter(None, single), *self.text, *self.metadata]

    @property
    def form(self) -> str:
        """Of how its records are read: described otherwise, all of them are new."""
        return blake2b(msgspec.json.encode(self), digest_size=4).hexdigest()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    origin: Annotated[tuple[Described, ...], Meta(min_length=1)]


def read_described(file: Path, only: str | None = None) -> list[Described]:
    """The origins of a file, or the one of that name; paths are relative to the file.

    Raises:
      BadSetting: it cannot be read, or says something that does not fit.
    """
    try:
        found = msgspec.convert(tomllib.loads(file.read_text("utf-8")), _File).origin
    except OSError as error:
        raise BadSetting(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadSetting(f"{file} does not describe origins: {error}") from error
    names = [origin.name for origin in found]
    if len(set(names)) < len(names):
        raise BadSetting(f"{file} has two origins of one name; give each its own")
    if only is not None and only not in names:
        raise BadSetting(f"{file} has no origin {only!r}; it has {', '.join(names)}")
    placed = [msgspec.structs.replace(origin, path=str(file.parent / origin.path)) for origin in found]
    return [origin for origin in placed if only in (None, origin.name)]
