"""The settings of what runs beside the process: servers that hold what one machine does not."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SECRET = {"database_url", "pinecone_api_key"}
PLACES = {"vectors", "pinecone_host"}


class ScaleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each is a setting like any other."""

    vectors: Annotated[
        Literal["hnsw", "pgvector", "pinecone"],
        Meta(
            description="Where memory's vectors are searched: `hnsw` (in the process), `pgvector` (in the database;"
            " needs the extra `postgres`) or `pinecone` (hosted; needs the extra `pinecone`)."
        ),
    ] = "hnsw"
    database_url: Annotated[
        Annotated[str, Meta(pattern="^postgres(ql)?://")] | None,
        Meta(description="PostgreSQL, as postgresql://USER:PASSWORD@HOST/DATABASE. The address is kept like a key."),
    ] = None
    pinecone_host: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        Meta(description="Where the Pinecone index is, as its console says: https://NAME.svc.REGION.pinecone.io."),
    ] = None
    pinecone_api_key: Annotated[str | None, Meta(description="The key that is sent there, and nowhere else.")] = None

    def missing(self) -> str | None:
        """What else has to be set, or None."""
        needed = {"hnsw": (), "pgvector": ("database_url",), "pinecone": ("pinecone_host", "pinecone_api_key")}
        return next((name for name in needed[self.vectors] if getattr(self, name) is None), None)
