"""Where a memory comes from that was not captured here."""

from typing import Annotated

import msgspec
from msgspec import Meta

Told = Annotated[str, Meta(max_length=256, extra={"screened": "identifier"})]  # as in controlplane/contract/wire.py
Count = Annotated[int, Meta(ge=0, le=2**53)]


class Provenance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instance and tenant (`origin`) and key, as keyed hashes, and what was known of it there: claims, not proof.

    `captured_at` is in seconds since the epoch; `skill` is what its fix was there.
    """

    origin: Told
    key: Told
    episode_id: Count
    captured_at: Annotated[float, Meta(ge=0, le=2**53)]
    repeats: Count = 0
    successes: Count = 0
    failures: Count = 0
    skill: Told | None = None
