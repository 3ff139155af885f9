"""The journal on PostgreSQL, with the lease that its replicas take turns by."""

from .journal import PostgresJournal
from .lease import LEASE_S, RENEW_S, Lease

__all__ = ["LEASE_S", "RENEW_S", "Lease", "PostgresJournal"]
