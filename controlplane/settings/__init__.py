"""Settings are one table, read once from where people write them."""

from .fields import (
    FILE,
    HIDDEN,
    PREFIX,
    PROVIDER_KEYS,
    SECRET,
    Described,
    RequestLogged,
    Settings,
    table,
)
from .loading import load

__all__ = [
    "FILE",
    "HIDDEN",
    "PREFIX",
    "PROVIDER_KEYS",
    "SECRET",
    "Described",
    "RequestLogged",
    "Settings",
    "load",
    "table",
]
