"""The SQL files: named queries, and the numbered road from one schema to the next."""

import re
from functools import cache
from importlib import resources

import aiosqlite

from ..failpoints import failpoint
from .newer import refuse_newer

_FILES = resources.files(__package__) / "schema"
_NAMED = re.compile(r"-- name: (\w+)\n((?:--[^\n]*\n)*)(.*?;)", re.DOTALL)
CHECKSUMS, ARCHIVES = 4, 7  # the schemas from which on rows carry one, and events may be archived
PART = 1000  # rows


def named(text: str) -> dict[str, str]:
    """The queries of an SQL file, by the names above them."""
    return {match[1]: match[3] for match in _NAMED.finditer(text)}


QUERIES = named((_FILES / "queries.sql").read_text("utf-8"))
ARCHIVING = named((_FILES / "archiving.sql").read_text("utf-8"))  # of one command, which holds the data folder


@cache
def many_rows(name: str, rows: int) -> str:
    """The named INSERT with its VALUES row repeated."""
    head, row = QUERIES[name].rstrip(";").split("VALUES ")
    return f"{head}VALUES {', '.join([row.strip()] * rows)};"


@cache
def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    files = sorted((f for f in _FILES.iterdir() if f.name[:3].isdigit()), key=lambda f: f.name)
    return [(int(f.name[:3]), f.read_text("utf-8")) for f in files]


# The first page, as it is: a write like any other.
REWRITE = f"PRAGMA user_version = {migrations()[-1][0]}"


async def migrate(connection: aiosqlite.Connection) -> None:
    """Bring the database to the newest schema, one transaction a step; nothing to do is nothing done."""
    [(version,)] = await connection.execute_fetchall("PRAGMA user_version")
    steps = migrations()
    refuse_newer(version, steps[-1][0])
    for number, sql in steps:
        if number > version:
            failpoint("journal.migrate")
            await connection.executescript(f"BEGIN;\n{sql}\nPRAGMA user_version = {number};")
            if number == CHECKSUMS:
                await _seal(connection)
            await connection.execute("COMMIT")


async def _seal(connection: aiosqlite.Connection) -> None:
    """Give every row its checksum, part by part: of one long statement SQLite keeps each page it changes in memory."""
    [(last,)] = await connection.execute_fetchall(QUERIES["last_seq"])
    for after in range(0, last, PART):
        await connection.execute(QUERIES["seal_events"], (after, after + PART))
    sealed = ["", ""]
    while ends := list(await connection.execute_fetchall(QUERIES["end_of_part"], (*sealed, PART))):
        await connection.execute(QUERIES["seal_records"], (*sealed, *ends[-1]))
        sealed = list(ends[-1])
