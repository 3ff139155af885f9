"""The settings of what runs beside the process: servers that hold what one machine does not."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SECRET = {"database_url", "vectors_url", "pepper", "redis_url", "broker_url", "pinecone_api_key"}
PLACES = {"vectors", "pinecone_host", "shard"}


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
        Meta(
            description="PostgreSQL for many replicas, postgresql://USER:SECRET@HOST/NAME; unset: SQLite in data_dir."
        ),
    ] = None
    pepper: Annotated[
        str | None, Meta(description="What all replicas key their hashes of API keys with: 32 bytes in hexadecimal.")
    ] = None
    redis_url: Annotated[
        Annotated[str, Meta(pattern="^rediss?://")] | None,
        Meta(description="Redis or Valkey, for limits and caches that replicas share; needs the extra `redis`."),
    ] = None
    broker_url: Annotated[
        Annotated[str, Meta(pattern="^(nats|tls)://")] | None,
        Meta(description="A NATS server (JetStream) that is told what happens to memory; needs the extra `nats`."),
    ] = None
    vectors_url: Annotated[
        Annotated[str, Meta(pattern="^postgres(ql)?://")] | None,
        Meta(description="PostgreSQL with pgvector, for `vectors`; unset: the database of database_url."),
    ] = None
    shard: Annotated[
        Annotated[int, Meta(ge=0, le=61)] | None,
        Meta(description="Which shard of many this deployment is, 0 to 61: ids of its new keys begin with it."),
    ] = None
    pinecone_host: Annotated[
        Annotated[str, Meta(pattern="^https?://")] | None,
        Meta(description="Where the Pinecone index is, as its console says: https://NAME.svc.REGION.pinecone.io."),
    ] = None
    pinecone_api_key: Annotated[str | None, Meta(description="The key that is sent there, and nowhere else.")] = None

    @property
    def pgvector_url(self) -> str | None:
        """Where the vectors' database is."""
        return self.vectors_url or self.database_url

    def missing(self) -> str | None:
        """What else has to be set, or None."""
        pgvector = () if self.pgvector_url else ("vectors_url",)
        needed = {"hnsw": (), "pgvector": pgvector, "pinecone": ("pinecone_host", "pinecone_api_key")}
        return next((name for name in needed[self.vectors] if getattr(self, name) is None), None)
