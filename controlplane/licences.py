"""Licences that are not taken in: by name or SPDX id, and by the digest of a text that stands for one."""

import re
from hashlib import sha256

FINGERPRINT = "sha256:"
_FINGERPRINT = re.compile(rf"{FINGERPRINT}[0-9a-f]{{64}}")
_VARIANT = re.compile(r"(?:-only|-or-later|\+)$")  # of one licence: who denies GPL-3.0 means all of them
_TAG = re.compile(r"SPDX-License-Identifier:\s*([^\n]{1,200}?)\s*(?:\*/|-->|$)", re.MULTILINE)
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
        """
        if licence is None or not self._names:
            return False
        alternatives = re.split(r"\s+or\s+", licence.strip().lower().strip("()"))
        return all(any(self._named(part) for part in re.split(r"\s+and\s+|[()]", one)) for one in alternatives)

    def _named(self, name: str) -> bool:
        return _VARIANT.sub("", re.split(r"\s+with\s+", name.strip())[0].strip()) in self._names

    def objection(self, licence: str | None, text: str) -> str | None:
        """Why a text is not taken in; by what is said of it, by what it says itself, and by its fingerprints."""
        if self.denies(licence):
            return f"its licence {licence!r} is denied"
        tag = _TAG.search(text, 0, HEADER)
        if tag is not None and self.denies(tag[1]):
            return f"it names the licence {tag[1]!r}, which is denied"
        if self._fingerprints and (found := fingerprints(text) & self._fingerprints):
            return f"it holds the text of a licence that is denied ({min(found)[: len(FINGERPRINT) + 12]})"
        return None


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
