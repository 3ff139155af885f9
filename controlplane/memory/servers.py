"""Where the vectors of memory are, as the settings say."""

from ..settings import Settings
from .hosted import HostedVectors, VectorServer
from .index import Spaces
from .vectors import InProcess


def server_of(settings: Settings) -> VectorServer | None:
    """The one that the settings name; None where vectors are in the process.

    Raises:
      BadSetting: its extra is not installed.
    """
    if settings.vectors == "pgvector":
        from .pgvector import PgVectors

        return PgVectors(settings.pgvector_url or "")
    if settings.vectors == "pinecone":
        from .pinecone import PineconeVectors

        return PineconeVectors(settings.pinecone_host or "", settings.pinecone_api_key or "")
    return None


def spaces_of(settings: Settings) -> Spaces:
    """Makes the indexes. Raises as `server_of` does."""
    server = server_of(settings)
    return InProcess() if server is None else HostedVectors(server)
