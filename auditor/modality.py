"""Vectors of a capture beside that of its text: of its trace, its code, its images, or what else can be embedded."""

import msgspec


class ModalVector(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """A vector by the model that made it; `digests` are of what was embedded and is not kept."""

    model: str
    vector: bytes  # float32 little-endian
    digests: tuple[str, ...] = ()
