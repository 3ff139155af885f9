"""A look at the journal's database, for whoever asks whether a start on it would succeed."""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from ...errors import JournalUnavailable, PointsmanError
from ..newer import refuse_newer
from ..port import ALL
from .database import GONE, HALF, MIGRATING, NEWEST, QUERIES, READ_ONLY, UNBOUND, connect_to, refused


class Found(NamedTuple):
    """What there is, what is to be warned of, and what replicas agreed on, by name."""

    said: str
    warning: str | None
    agreed: dict[str, bytes]


async def look(url: str, marks: Sequence[str]) -> Found:
    """What there is, without changing it, and the marks that replicas left there.

    Raises:
      JournalUnavailable: there is no such database, or a start on it would fail.
      JournalNewer: it has a newer version's schema.
    """
    try:
        connection = await connect_to(url, ALL)
        try:
            found = await connection.fetchrow(QUERIES["look"])
            if found["read_only"]:
                raise READ_ONLY
            if found["taken"] and not found["begun"]:
                raise asyncpg.DuplicateTableError
            if not found["may"]:
                raise asyncpg.InsufficientPrivilegeError
            warning = UNBOUND if await connection.fetchval(QUERIES["unbound"]) else None
            if not found["begun"]:
                return Found("it answers, and is empty: the first start makes what it needs", warning, {})
            refuse_newer(await connection.fetchval(QUERIES["version"]), NEWEST)
            if await connection.fetchval(QUERIES["get_file"], MIGRATING) is not None:
                raise PointsmanError(HALF)
            seq = await connection.fetchval(QUERIES["last_seq"])
            agreed = {name: await connection.fetchval(QUERIES["get_file"], name) for name in marks}
            there = {name: mark for name, mark in agreed.items() if mark is not None}
            return Found(f"it answers, with {seq} event(s)", warning, there)
        finally:
            connection.terminate()
    except (*GONE, asyncpg.PostgresError, ValueError) as error:
        raise JournalUnavailable(refused(error)) from error
