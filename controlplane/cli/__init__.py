"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached,
130 interrupted."""

from . import access, decisions, demonstration, hooks, replays, server, upkeep
from .program import app, main

__all__ = ["access", "app", "decisions", "demonstration", "hooks", "main", "replays", "server", "upkeep"]
