"""Licences that are not taken in: by name or SPDX id, and by the digest of a text that stands for one."""

import re
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256

FINGERPRINT = "sha256:"
_FINGERPRINT = re.compile(rf"{FINGERPRINT}[0-9a-f]{{64}}")
_VARIANT = re.compile(r"(?:-only|-or-later|\+)$")  # of one licence: who denies GPL-3.0 means all of them
_TAG = re.compile(r"SPDX-License-Identifier:\s*([^\n]{1,200}?)\s*(?:\*/|-->|$)", re.MULTILINE)
_BRACKETS = re.compile(r"\(([^()]*)\)")
_OR, _AND = re.compile(r"(?<!\S)or(?!\S)"), re.compile(r"(?<!\S)and(?!\S)|[()]")
DENIED = "\x00"  # stands for brackets that are denied
_MARKS = re.compile(r"^[ \t]*(?:#+|//+|/?\*+/?|--+|;+|<!--|\"{3})?[ \t]*", re.MULTILINE)
HEADER = 4_000  # characters in which a text says what it is licensed under


class Denylist:
    """What an operator denies, as it is written: `GPL-3.0, AGPL-3.0-only, sha256:...`."""

    def __init__(self, written: str) -> None:
        """Raises ValueError for a fingerprint that is none."""
        named = {item.strip().lower() for item in written.split(",")} - {""}
        self._fingerprints = {item for item in named if item.startswith(FINGERPRINT)}
        self._names = {_VARIANT.sub("", name) for name in named - self._fingerprints}
        if wrong := [item for item in self._fingerprints if not _FINGERPRINT.fullmatch(item)]:
            raise ValueError(f"{wrong[0]!r} is no fingerprint: write {FINGERPRINT} and 64 hexadecimal digits")

    def denies(self, licence: str | None) -> bool:
        """Whether a licence, or every alternative of an SPDX expression, is denied.

        >>> denied = Denylist("GPL-3.0, proprietary")
        >>> denied.denies("GPL-3.0-or-later"), denied.denies("MIT OR GPL-3.0-only"), denied.denies("MIT AND gpl-3.0+")
        (True, False, True)
        >>> denied.denies("GPL-3.0-only AND (MIT OR Apache-2.0)"), denied.denies("(MIT AND GPL-3.0-only) OR MIT")
        (True, False)
        """
        if licence is None or not self._names:
            return False
        expression = licence.lower()
        while (inner := _BRACKETS.search(expression)) is not None:
            verdict = f" and {DENIED} and " if self._all_denied(inner[1]) else " and "
            expression = expression[: inner.start()] + verdict + expression[inner.end() :]
        return self._all_denied(expression)

    def _all_denied(self, expression: str) -> bool:
        """Whether each alternative of an expression without brackets has a denied part."""
        return all(any(map(self._named, _AND.split(one))) for one in _OR.split(expression))

    def _named(self, name: str) -> bool:
        name = re.split(r"\s+with\s+", name.strip())[0].strip()
        return name == DENIED or _VARIANT.sub("", name) in self._names

    def objection(self, licence: str | None, text: "str | Said") -> str | None:
        """Why a text is not taken in; by what is said of it, by what it says itself, and by its fingerprints."""
        if self.denies(licence):
            return f"its licence {licence!r} is denied"
        said = Said(lambda: text) if isinstance(text, str) else text
        tag = next(filter(self.denies, said.tags), None) if self._names else None
        if tag is not None:
            return f"it names the licence {tag!r}, which is denied"
        if self._fingerprints and (found := said.fingerprints & self._fingerprints):
            return f"it holds the text of a licence that is denied ({min(found)[: len(FINGERPRINT) + 12]})"
        return None


class Said:
    """What a text says of its licence itself, read once it is asked for."""

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag[1] for tag in _TAG.finditer(self._text(), 0, HEADER))

    @cached_property
    def fingerprints(self) -> set[str]:
        return fingerprints(self._text())


NOTHING = Denylist("")


def fingerprints(text: str) -> set[str]:
    """Of the whole text and of its first paragraph; marks of comments, white space and case do not count.

    >>> fingerprints("# All rights  reserved.\\n\\nx = 1") & fingerprints("all Rights reserved.") != set()
    True
    """
    plain = _MARKS.sub("", text).strip()
    return {_fingerprint(plain), _fingerprint(re.split(r"\n\s*\n", plain, maxsplit=1)[0][:HEADER])}


def _fingerprint(text: str) -> str:
    return FINGERPRINT + sha256(" ".join(text.lower().split()).encode("utf-8", "surrogatepass")).hexdigest()
