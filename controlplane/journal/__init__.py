"""The journal is the truth: one append-only event log. Everything else is a fold of it."""

from .codec import decode_event, decode_learned, encode_event, encode_learned
from .connection import connect
from .memory import MemoryJournal
from .port import Journal, acting_for_all
from .sqlite import SqliteJournal

__all__ = [
    "Journal",
    "MemoryJournal",
    "SqliteJournal",
    "acting_for_all",
    "connect",
    "decode_event",
    "decode_learned",
    "encode_event",
    "encode_learned",
]
