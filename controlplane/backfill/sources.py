"""Reads the records of an origin, each as a document or with the reason why it is none."""

import sqlite3
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from contextlib import closing
from hashlib import blake2b
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from ..contract import MAX_DOCUMENT, MAX_TEXT
from ..masking import without_secrets
from .described import Described

LOCKED_S = 2.0  # how long another program's lock is waited for
MOST_BYTES = 200_000  # of a document as it is sent
MOST_KEY = 256
_TABLE, _COUNT = (
    "\n".join(line for line in part.splitlines()[1:] if not line.startswith("--")).strip().rstrip(";")
    for part in resources.files(__package__).joinpath("source.sql").read_text("utf-8").split("-- name: ")[1:]
)
Fields = Mapping[str, Any]


class SourceFailed(Exception):
    """The source cannot be read on; the message says why."""


class Unusable(Exception):
    """A record is none; the message says why."""


class Read(NamedTuple):
    """A record by its key: the document, or why it is none; and how much of how much of the source is read by now."""

    key: str
    keyed: bool  # else its key cannot be told, and `key` is its number
    version: str
    document: dict[str, Any] | None
    why: str
    done: int
    of: int


def read(origin: Described) -> Iterator[Read]:
    """Every record, in the source's order.

    Raises:
      SourceFailed: the file is not there, is locked, has no such table or column, is damaged, or is empty or breaks
        off in a line (JSON lines).
    """
    seen = set[str]()
    rows = _lines(origin) if origin.table is None and origin.query is None else _rows(origin)
    for number, (fields, why, done, of) in enumerate(rows, 1):
        key, keyed, version, document = f"record {number}", False, "", None
        try:
            if why:
                raise Unusable(why)
            key, keyed = _key(origin, fields), True
            if key in seen:
                raise Unusable("another record has its key")
            seen.add(key)
            version, document = _version(origin, fields), _document(origin, key, fields)
        except Unusable as error:
            why = str(error)
        yield Read(key, keyed, version, document, why, done, of)


Row = tuple[Fields, str, int, int]  # the fields, or why there are none; how much of how much is read


def _rows(origin: Described) -> Iterator[Row]:
    named = '"' + (origin.table or "").replace('"', '""') + '"'
    rows = (origin.query or _TABLE.format(table=named)).strip().rstrip(";")
    try:
        with closing(sqlite3.connect(f"file:{quote(origin.path)}?mode=ro", uri=True, timeout=LOCKED_S)) as database:
            database.text_factory = bytes
            [(of,)] = database.execute(_COUNT.format(rows=rows))
            cursor = database.execute(rows)
            names = [column[0] for column in cursor.description]
            _refuse_missing(origin, names)
            for done, row in enumerate(cursor, 1):
                yield dict(zip(names, row, strict=True)), "", done, of
    except sqlite3.Error as error:
        raise SourceFailed(f"{origin.path}: {error}") from error


def _lines(origin: Described) -> Iterator[Row]:
    try:
        of, done = Path(origin.path).stat().st_size, 0
        if of <= len(BOM_UTF8):
            raise SourceFailed(f"{origin.path}: it is empty, as before it is written")
        with open(origin.path, "rb") as file:
            for line in file:
                text = line if done else line.removeprefix(BOM_UTF8)
                done += len(line)
                if text.strip():
                    fields, why = _object(text)
                    if why and not line.endswith(b"\n"):
                        raise SourceFailed(f"{origin.path}: its last line is not whole, as while it is written")
                    yield fields, why, done, of
    except OSError as error:
        raise SourceFailed(f"{origin.path}: {error.strerror}") from error


def _object(line: bytes) -> tuple[Fields, str]:
    try:
        fields = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return {}, f"its line is no JSON: {error}"
    return (fields, "") if isinstance(fields, dict) else ({}, "its line is no object")


def _refuse_missing(origin: Described, names: list[str]) -> None:
    if missing := [column for column in origin.columns if column not in names]:
        raise SourceFailed(f"{origin.path}: there is no column {missing[0]!r}; there are {', '.join(names)}")


def _text(name: str, value: Any) -> str:
    """A value as text; raises Unusable for bytes that are none."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise Unusable(f"{name} is not UTF-8") from None
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if "\x00" in text:
        raise Unusable(f"{name} has a NUL character")
    return text


def _key(origin: Described, fields: Fields) -> str:
    key = _text(origin.key, fields.get(origin.key))
    if not key:
        raise Unusable("it has no key")
    if len(key) > MOST_KEY:
        raise Unusable(f"its key has {len(key)} characters; at most {MOST_KEY} are taken")
    return key


def _version(origin: Described, fields: Fields) -> str:
    """When it was modified, where the source says so, else a digest of all that is read of it."""
    if origin.modified is not None and (modified := _text(origin.modified, fields.get(origin.modified))):
        version = f"{origin.form}:{modified}"
        if len(version) <= MOST_KEY and version == without_secrets(version):  # it is kept and listed as it is
            return version
    values = [_text(name, fields.get(name)) for name in origin.columns]
    return f"{origin.form}:{blake2b(msgspec.json.encode(values), digest_size=16).hexdigest()}"


def _document(origin: Described, key: str, fields: Fields) -> dict[str, Any]:
    parts = [_text(name, fields.get(name)) for name in origin.text]
    text = "\n\n".join(part for part in parts if part.strip())
    if not text:
        raise Unusable("it has no text")
    if len(text) > MAX_DOCUMENT:
        raise Unusable(f"its text has {len(text)} characters; at most {MAX_DOCUMENT} are taken")
    document: dict[str, Any] = {"key": key, "text": text, "kind": origin.kind, "version": _version(origin, fields)}
    document["metadata"] = metadata = {name: _text(name, fields.get(name)) for name in origin.metadata}
    if long := [name for name, value in metadata.items() if len(value) > MAX_TEXT]:
        raise Unusable(f"{long[0]} has {len(metadata[long[0]])} characters; at most {MAX_TEXT} are taken")
    if origin.title is not None:
        document["title"] = _text(origin.title, fields.get(origin.title))[:MOST_KEY]
    if origin.license_from is not None:
        document["license"] = _text(origin.license_from, fields.get(origin.license_from))[:MOST_KEY] or None
    if origin.enhancement is not None:
        document["enhancement"] = _score(fields.get(origin.enhancement))
    if len(msgspec.json.encode(document)) > MOST_BYTES:
        raise Unusable(f"it is over {MOST_BYTES // 1000} KB")
    return document


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        raise Unusable(f"its enhancement {shown!r} is no number from 0 to 1")
    return float(value)
