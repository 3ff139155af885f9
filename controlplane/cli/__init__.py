"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached,
130 interrupted."""

from . import (
    access,
    appeals,
    backfilling,
    budgets,
    challengers,
    decisions,
    demonstration,
    federation,
    hooks,
    memory,
    policies,
    providers,
    replays,
    server,
    sessions,
    upkeep,
)
from .program import app, main

__all__ = [
    "access",
    "app",
    "appeals",
    "backfilling",
    "budgets",
    "challengers",
    "decisions",
    "demonstration",
    "federation",
    "hooks",
    "main",
    "memory",
    "policies",
    "providers",
    "replays",
    "server",
    "sessions",
    "upkeep",
]
