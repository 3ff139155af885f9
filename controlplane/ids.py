"""Identifiers: sortable by time, unguessable by anybody who was not told."""

import os
import time


def new_id(prefix: str) -> str:
    """`prefix_` + 12 hex digits of milliseconds + 20 of randomness (80 bits)."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"
