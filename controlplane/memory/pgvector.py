"""Vectors in PostgreSQL with pgvector. The one file that imports its codec.

Each tenant's rows are seen only where the transaction names it (row-level security, of the tables' owner too). A small
space is searched exactly; a large one has an HNSW graph of its own, a partial index, so that other tenants' vectors
neither slow a search down nor take places in what it finds.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import structlog

from ..embedding import Vector
from ..errors import BadSetting, PointsmanError
from ..failpoints import failpoint
from ..journal.queries import named
from .hosted import Change, Place
from .index import VectorsUnavailable

log = structlog.get_logger()
_FILES = resources.files(__package__) / "schema"
SQL = named((_FILES / "queries.sql").read_text("utf-8"))
OLDEST = (0, 8)  # pgvector, from which on a search of a graph goes on until it has enough
NO_EXTENSION = "the database has no extension vector: CREATE EXTENSION vector"
SWITCH_POINT = 10_000  # vectors of a space, from which on it has a graph; `make bench-vectors` measures both sides
EF, WIDEST = 100, 500  # how much of a graph is looked at; results from which on it is searched exactly
WIDEST_INDEXED = 2_000  # dimensions, by pgvector
SEARCH_S, WRITE_S, CONNECTIONS = 0.5, 30.0, 8
SESSION = {
    "application_name": "pointsman",
    "hnsw.ef_search": str(EF),
    "hnsw.iterative_scan": "strict_order",
    "plan_cache_mode": "force_custom_plan",  # a partial index is used only where the plan knows the space
}
UNHURRIED = {"statement_timeout": "0", "lock_timeout": "0"}  # whatever the role has


class PgVectors:
    """See the module."""

    def __init__(self, url: str, switch_point: int = SWITCH_POINT) -> None:
        """Raises BadSetting: the extra is not installed."""
        try:
            import asyncpg
            import pgvector.asyncpg
        except ImportError as error:
            raise BadSetting("POINTSMAN_VECTORS=pgvector needs an extra: pip install 'pointsman[postgres]'") from error
        self._asyncpg, self._register_vector = asyncpg, pgvector.asyncpg.register_vector
        self._cut = asyncpg.InterfaceError, asyncpg.InternalClientError  # what is said of a connection that was cut
        self._url, self._switch_point = url, switch_point
        self._pool: asyncpg.Pool[Any] | None = None
        self._embedder, self.reading = "", 0  # the generation that is searched
        self._covered: list[int] = []  # those that have every event once what is written has
        self._spaces: dict[tuple[int, Place], int] = {}
        self._graphs = set[int]()  # of spaces

    async def begin(self, embedder: str) -> int:
        self._embedder = embedder
        async with self._alone() as connection:
            await self._migrate(connection)
        async with self._connected(WRITE_S) as connection:
            async with connection.transaction():
                await connection.execute(SQL["lock"])
                await connection.execute(SQL["bring_back"], embedder)
                await connection.execute(SQL["forget_retired"])
                if not (found := await connection.fetch(SQL["generations"], embedder, 0)):
                    await connection.execute(SQL["make_generation"], embedder)
                    found = await connection.fetch(SQL["generations"], embedder, 0)
            self._follow(found)
            self._covered = [row["number"] for row in found]
            await self._look_for_graphs(connection)
            for row in await connection.fetch(SQL["graphs_of_nothing"]):
                await connection.execute(_filled_in("drop_named", {":name": row["relname"]}))
            return min(int(row["position"]) for row in found)

    def _follow(self, found: Sequence[Mapping[str, Any]]) -> None:
        """Search the newest generation that serves, else the newest."""
        if not found:
            raise VectorsUnavailable(f"generation {self.reading} of the vectors is gone; restart to fill another")
        serving = [row["number"] for row in found if row["serving"]]
        self.reading = max(serving or [row["number"] for row in found])

    async def write(self, changes: Sequence[Change], position: int) -> int:
        async with self._connected(WRITE_S) as connection, connection.transaction():
            found = await connection.fetch(SQL["generations"], self._embedder, self.reading)
            self._follow(found)
            for generation in (row["number"] for row in found):
                rows = [await self._row(connection, generation, change) for change in sorted(changes, key=_order)]
                for tenant in dict.fromkeys(row[2] for row in rows):
                    await connection.execute(SQL["as_tenant"], tenant)
                    await connection.executemany(SQL["write"], [row for row in rows if row[2] == tenant])
            await connection.execute(SQL["note_position"], self._covered, position)
            if changes:
                failpoint("vectors.write")
        return len(changes)

    async def _row(self, connection: Any, generation: int, change: Change) -> tuple[Any, ...]:
        place = change.place
        if (space := await self._space(connection, generation, place)) is None:
            await connection.execute(SQL["make_space"], generation, *place)
            space = await self._space(connection, generation, place)
        return space, change.key, place.tenant, change.seq, change.vector

    async def _space(self, connection: Any, generation: int, place: Place) -> int | None:
        """The number of a space; None where nothing was written to it yet."""
        if (known := self._spaces.get((generation, place))) is None:
            await connection.execute(SQL["as_tenant"], place.tenant)
            known = await connection.fetchval(SQL["space"], generation, *place)
            if known is not None:
                self._spaces[generation, place] = known
        return known

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[tuple[int, Vector]]:
        async with self._connected(SEARCH_S) as connection, connection.transaction(readonly=True):
            if (space := await self._space(connection, self.reading, place)) is None:
                return []
            await connection.execute(SQL["as_tenant"], place.tenant)
            rows: Sequence[Any] = ()
            if space in self._graphs and k <= WIDEST:
                await connection.execute(SQL["by_graph"])
                sql = _filled_in("nearest_by_graph", {":dimension": str(len(vector))})
                rows = await connection.fetch(sql, space, vector, k)
            if len(rows) < k:
                rows = await connection.fetch(SQL["nearest"], space, vector, k)
            return [(row["key"], row["vector"].to_numpy()) for row in rows]

    async def vectors(self, place: Place, keys: Sequence[int]) -> dict[int, Vector]:
        async with self._connected(SEARCH_S) as connection, connection.transaction(readonly=True):
            if (space := await self._space(connection, self.reading, place)) is None:
                return {}
            await connection.execute(SQL["as_tenant"], place.tenant)
            rows = await connection.fetch(SQL["vectors"], space, list(keys))
            return {row["key"]: row["vector"].to_numpy() for row in rows}

    async def held(self, tenant: str, position: int) -> dict[Place, list[int]]:
        found: dict[Place, list[int]] = {}
        async with self._connected(WRITE_S) as connection, connection.transaction(readonly=True):
            await connection.execute(SQL["as_tenant"], tenant)
            for row in await connection.fetch(SQL["held"], self._covered, position):
                found.setdefault(Place(tenant, row["namespace"], row["kind"]), []).append(row["key"])
        return found

    async def build(self, sizes: Mapping[Place, int], *, filled: bool) -> None:
        """Each graph without a lock on the rows; another replica builds another one meanwhile."""
        large = [place for place, size in sizes.items() if size > self._switch_point]
        async with self._connected(WRITE_S) as connection:
            found = await connection.fetch(SQL["generations"], self._embedder, self.reading)
            self._follow(found)
            await self._look_for_graphs(connection)
            async with connection.transaction(readonly=True):
                missing = [
                    graph
                    for row in found
                    for place in large
                    if (graph := await self._missing(connection, row["number"], place)) is not None
                ]
            if filled and not missing:
                await self._serve(connection, [row["number"] for row in found if not row["serving"]])
        if any([await self._built(graph) for graph in missing]):
            await self.build(sizes, filled=filled)

    async def _missing(self, connection: Any, generation: int, place: Place) -> dict[str, str] | None:
        """What names the graph that a large space has not got; None where it has one, or can have none."""
        space = await self._space(connection, generation, place)
        if space is None or space in self._graphs:
            return None
        await connection.execute(SQL["as_tenant"], place.tenant)
        dimension = await connection.fetchval(SQL["dimension"], space)
        if dimension is None or dimension > WIDEST_INDEXED:
            return None
        return {":generation": str(generation), ":space": str(space), ":dimension": str(dimension)}

    async def _built(self, graph: Mapping[str, str]) -> bool:
        """Whether it is now: not where another replica is building it."""
        async with self._alone() as connection:
            if not await connection.fetchval(_filled_in("lock_building", graph)):
                return False
            await connection.execute(_filled_in("drop_graph", graph))  # one that was not finished
            await connection.execute(_filled_in("build_graph", graph))
        log.info("vectors_graph_built", space=graph[":space"])
        return True

    async def _look_for_graphs(self, connection: Any) -> None:
        rows = await connection.fetch(SQL["graphs"])
        self._graphs = {int(row["relname"].rpartition("_")[2]) for row in rows if row["indisvalid"]}

    async def _serve(self, connection: Any, filled: Sequence[int]) -> None:
        """The newest that is whole serves from here on, and those before it no more: at once, or not at all."""
        for generation in (number for number in filled if number in self._covered):
            failpoint("vectors.filled")
            async with connection.transaction():
                await connection.execute(SQL["lock"])
                await connection.execute(SQL["serve"], generation)
                await connection.execute(SQL["retire"], generation)
            self.reading = generation
            log.info("vectors_switched", generation=generation, embedder=self._embedder)

    async def _migrate(self, connection: Any) -> None:
        """Bring the tables to the newest schema; of replicas that start together one does.

        Raises:
          PointsmanError: a newer version wrote them, or pgvector is too old.
        """
        steps = [(int(file.name[:3]), file) for file in sorted(_FILES.iterdir(), key=str) if file.name[:3].isdigit()]
        async with connection.transaction():
            await connection.execute(SQL["lock"])
            await connection.execute(SQL["make_versions"])
            version = await connection.fetchval(SQL["version"])
            if version > steps[-1][0]:
                raise PointsmanError(f"the vectors have schema {version}; install the newer Pointsman that wrote it")
            await self._extension(connection)
            for number, file in steps:
                if number > version:
                    await connection.execute(file.read_text("utf-8"))
                    await connection.execute(SQL["note_version"], number)

    async def _extension(self, connection: Any) -> str:
        """Which pgvector there is; made where there is none and the role may.

        Raises:
          VectorsUnavailable: it may not.
          PointsmanError: it is too old.
        """
        pg = self._asyncpg
        try:
            await connection.execute(SQL["make_extension"])
        except (pg.InsufficientPrivilegeError, pg.FeatureNotSupportedError, pg.UndefinedFileError) as error:
            raise VectorsUnavailable(NO_EXTENSION) from error
        extension = str(await connection.fetchval(SQL["extension"]))
        if tuple(map(int, extension.split(".")[:2])) < OLDEST:
            raise PointsmanError(
                f"pgvector {extension} is too old: install 0.8 or newer, then ALTER EXTENSION vector UPDATE"
            )
        return extension

    async def look(self) -> str:
        """Which pgvector a start would use, without changing anything. Raises as a start does."""
        async with self._alone() as connection:
            trying = connection.transaction()
            await trying.start()
            found = await self._extension(connection)
            await trying.rollback()
        return found

    async def _register(self, connection: Any) -> None:
        """Have a connection know vectors, in whatever schema the extension is."""
        if (schema := await connection.fetchval(SQL["extension_schema"])) is None:
            raise VectorsUnavailable(NO_EXTENSION)
        await self._register_vector(connection, schema=schema)

    async def renew(self) -> int:
        async with self._alone() as connection:
            await self._migrate(connection)
            return len(await connection.fetch(SQL["make_generations_anew"]))

    async def close(self) -> None:
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(SEARCH_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @contextlib.asynccontextmanager
    async def _connected(self, deadline_s: float) -> AsyncIterator[Any]:
        """A connection of the pool; one that failed is not used again."""
        if self._pool is None:
            self._pool = self._asyncpg.create_pool(
                self._url, min_size=0, max_size=CONNECTIONS, init=self._register, server_settings=SESSION
            )
        with self._translated():
            async with asyncio.timeout(deadline_s):
                await self._pool
                connection = await self._pool.acquire()
                try:
                    yield connection
                except BaseException:
                    with contextlib.suppress(*self._cut):  # the pool's own again
                        connection.terminate()
                    raise
                finally:
                    await self._pool.release(connection)

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[Any]:
        """A connection of its own, for what takes as long as it takes."""
        with self._translated():
            connection = await self._asyncpg.connect(self._url, timeout=WRITE_S, server_settings=UNHURRIED)
            try:
                yield connection
            except BaseException:
                connection.terminate()
                raise
            await connection.close(timeout=SEARCH_S)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError, self._asyncpg.PostgresError, *self._cut) as error:
            self._spaces.clear()  # some may have been made by what is undone
            raise VectorsUnavailable(f"{type(error).__name__}: {error}") from error
        except ValueError:  # of an address or an option of it, which it quotes
            raise VectorsUnavailable("its address has something that asyncpg does not take") from None


def _filled_in(name: str, numbers: Mapping[str, str]) -> str:
    """A query with what no parameter can stand for: numbers that an index is named and made by."""
    sql = SQL[name]
    for placeholder, number in numbers.items():
        sql = sql.replace(placeholder, number)
    return sql


def _order(change: Change) -> tuple[Place, int]:
    """Replicas that write the same rows lock them in the same order."""
    return change.place, change.key
