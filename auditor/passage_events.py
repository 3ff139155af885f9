"""Documents that memory keeps beside failures, cut into passages, and the origins they come from, as events."""

from hashlib import blake2b
from typing import Literal

import msgspec

from .event import Event

PassageKind = Literal["document", "patch", "record"]


def document_ref(namespace: str, origin: str, key: str) -> str:
    """What all versions of one document are found by in the journal; it tells nothing of them.

    >>> document_ref("", "wiki", "a.md") == document_ref("", "wiki", "a.md") != document_ref("", "wi", "kia.md")
    True
    """
    named = msgspec.json.encode((namespace, origin, key))
    return blake2b(named, digest_size=16).hexdigest()


class Passage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a document, with the vector it is found by."""

    text: str
    vector: bytes = b""  # float32 little-endian


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text as its origin has it under a key. Figures that the origin states of it are None where it states none.

    `version` is the origin's word for this state of the text, `enhancement` how good a patch is, in [0, 1].
    """

    namespace: str = ""
    origin: str
    key: str
    kind: PassageKind = "document"
    title: str = ""
    license: str | None = None
    metadata: dict[str, object] = {}
    version: str = ""
    enhancement: float | None = None
    alignment_severity: float | None = None
    semantic_alerts: int | None = None
    digest: str  # of all that is kept of it
    embedder: str
    passages: tuple[Passage, ...]

    @property
    def ref(self) -> str:
        return document_ref(self.namespace, self.origin, self.key)


class DocumentKept(Event, frozen=True, kw_only=True, tag="document"):
    """A document is kept, in the place of the one that was kept under its key."""

    document: Document
    by: str = ""

    @property
    def ref(self) -> str:
        return self.document.ref


class DocumentsDropped(Event, frozen=True, kw_only=True, tag="documents_dropped"):
    """A document, or without a key all of an origin in a namespace, is let go of; the contents are overwritten."""

    namespace: str
    origin: str
    key: str | None = None
    by: str = ""


class OriginRegistered(Event, frozen=True, kw_only=True, tag="origin_registered"):
    """Where documents come from: what that is (`bots`, `errors`, any name), the licence of those that name none."""

    origin: str
    what: str = "documents"
    license: str | None = None
    by: str = ""

    @property
    def ref(self) -> str:
        return self.origin
