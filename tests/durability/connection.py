"""The journal's connection on APSW: what `SqliteJournal` uses of aiosqlite, and nothing more.

Statements run in the event loop's own thread, each after one turn of the loop, so that whoever was answered
hears of it before the next operation and the same seed gives the same log.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiosqlite
import apsw

from controlplane.journal.connection import MEMORY_PRAGMAS

Connect = Callable[[], Awaitable[aiosqlite.Connection]]


class Done(NamedTuple):
    """What is left of a statement: how many rows it changed."""

    rowcount: int


class ApswConnection:
    """An aiosqlite connection to the journal's eyes. `instead` replaces statements, to see what they are good for."""

    def __init__(self, file: Path, vfs: str, instead: Mapping[str, str]) -> None:
        self._database = apsw.Connection(str(file), vfs=vfs)
        self._instead = instead

    async def execute_fetchall(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        await asyncio.sleep(0)
        return self._database.execute(self._instead.get(sql, sql), parameters).fetchall()

    async def execute(self, sql: str, parameters: Sequence[Any] = ()) -> Done:
        await self.execute_fetchall(sql, parameters)
        return Done(self._database.changes())

    async def executescript(self, sql: str) -> None:
        await self.execute_fetchall(sql)

    async def create_function(self, name: str, num_params: int, func: Callable[..., Any], deterministic: bool) -> None:
        self._database.create_scalar_function(name, func, num_params, deterministic=deterministic)

    async def close(self) -> None:
        self._database.close()


def connect(file: Path, vfs: str, instead: Mapping[str, str]) -> Connect:
    """A factory of connections to the database file through the VFS of that name."""

    async def open_connection() -> aiosqlite.Connection:
        connection = ApswConnection(file, vfs, instead)
        for pragma in MEMORY_PRAGMAS:
            await connection.execute(pragma)
        return cast(aiosqlite.Connection, connection)

    return open_connection
