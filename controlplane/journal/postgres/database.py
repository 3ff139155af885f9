"""Connections to the journal's database: one that writes, one that listens, some that read; and the road to its schema.

Each statement says whose rows it is for (`pointsman.tenant`), and the database shows it no others.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from importlib import resources
from typing import Any, Self

import structlog

from ...errands import Errands
from ...errors import BadSetting, JournalDamaged, JournalUnavailable, PointsmanError, StorageFull
from ...failpoints import failpoint
from ..newer import refuse_newer
from ..port import ALL, Turn
from ..queries import named

try:
    import asyncpg
except ImportError as error:  # the extra is for who has a database_url
    raise BadSetting("database_url needs the extra `postgres`: pip install 'pointsman[postgres]'") from error

log = structlog.get_logger()
CHANNEL = "pointsman_journal"
CONNECT_S = 3.0  # longest wait for a connection
STATEMENT_S = 10.0  # and for an answer; a database that is paused says nothing
UNHURRIED = dict.fromkeys(("statement_timeout", "lock_timeout", "idle_session_timeout"), "0")  # whatever the role has
# PostgreSQL's own are two hours: after half a minute a machine that is gone holds no lock any more.
KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4"}
PART = 1000  # rows of a stream at once
READERS, LOG_READERS = 4, 2  # statements of requests at once, and of the log; others wait
_FILES = resources.files(__package__)
_STEPS = sorted((f for f in (_FILES / "schema").iterdir() if f.name[:3].isdigit()), key=lambda f: f.name)
NEWEST = int(_STEPS[-1].name[:3])
_STEPPING = 0x706F696E74  # key of a lock: one of many replicas migrates
_TURNS: dict[Turn, int] = {"start": 0x706F696E75, "act": 0x706F696E76}
QUERIES = named((_FILES / "queries.sql").read_text("utf-8"))
GONE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
)
READ_ONLY = asyncpg.ReadOnlySQLTransactionError  # a session stays so though others may write again: it is let go of
MIGRATING = "migrating"  # a file's name while an embedded journal is copied here, and after a copy that was cut short
HALF = (
    "an embedded journal is copied into this database, and not all of it is there yet; "
    "run `pointsman migrate` again until it ends, then start"
)
UNBOUND = (
    "the role is a superuser or has BYPASSRLS, so row-level security does not keep tenants apart: "
    "ALTER ROLE ... NOSUPERUSER NOBYPASSRLS"
)
REFUSALS = (  # what kind of error means what; the first that fits
    (asyncpg.InvalidPasswordError, "the password is not this role's"),
    (asyncpg.InvalidAuthorizationSpecificationError, "it lets no such role in from here; see to pg_hba.conf"),
    (asyncpg.InvalidCatalogNameError, "there is no database of that name"),
    (asyncpg.InsufficientPrivilegeError, "the role lacks rights; let it own a database of its own"),
    (asyncpg.TooManyConnectionsError, "it takes no more connections; see to max_connections and the role's limit"),
    (asyncpg.DuplicateTableError, "it has another program's tables; name an empty one"),
    (READ_ONLY, "it takes no writes; name the primary"),
    (asyncpg.CannotConnectNowError, "it is starting or stopping"),
    (asyncpg.InvalidSchemaNameError, "no schema of the role's search_path is there"),
    (asyncpg.UndefinedObjectError, "the address has an option that it does not know"),
    (asyncpg.PostgresError, "it refuses"),
    (ValueError, "the address has something that asyncpg does not take"),
)


class JournalShorter(JournalDamaged):
    """The log lost what this replica read of it, as in a failover to a standby that lagged behind."""

    def __init__(self) -> None:
        super().__init__(
            "it lost events that this replica had read, which were acknowledged",
            "start every replica again, each on an empty data folder",
        )


class Lost(Exception):
    """The connection is gone, and with it the answer; what was asked may have been done."""


class Connection:
    """One connection for one task, made again when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: asyncpg.Connection[Any] | None = None

    @property
    def made(self) -> bool:
        """Whether there is one; else the next question makes it."""
        return self._open is not None and not self._open.is_closed()

    async def value(self, query: str, *parameters: Any) -> Any:
        """The first value that a named query gives; it sees the rows of all tenants.

        Raises:
          Lost: there is no connection, or there is none any more.
          PointsmanError: the database refuses.
        """
        try:
            if self._open is None or not self.made:
                self._open = await connect_to(self._url, ALL)
            return await self._open.fetchval(QUERIES[query], *parameters)
        except GONE as error:
            await self.close()
            raise Lost(str(error) or type(error).__name__) from error
        except asyncpg.PostgresError as error:
            if isinstance(error, READ_ONLY):
                await self.close()
            raise refusal_of(error) from error

    async def close(self) -> None:
        """Let go of it at once: who waits for a farewell waits for a database that may be paused."""
        if self._open is not None:
            self._open.terminate()
            self._open = None


class Database:
    """What the journal reads by, and where it hears that there is news."""

    _readers: "asyncpg.Pool[Any]"
    _log_readers: "asyncpg.Pool[Any]"

    def __init__(self, url: str) -> None:
        self._url = url
        self.anew = False  # a connection was made since it was looked what the database has: it may be another one's
        self._listener: asyncpg.Connection[Any] | None = None
        self._deaf = False  # and it was said
        self._errands = Errands()

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and migrate.

        Raises:
          JournalUnavailable: there is no such database, or it does not let us in; the address is not repeated.
          JournalNewer: it has a newer version's schema.
          PointsmanError: it has an earlier version's, whose replicas run.
        """
        try:
            connection = await connect_to(url, ALL, None)
            try:
                await _migrate(connection)
            finally:
                connection.terminate()
            made, everything = cls(url), {"pointsman.tenant": ALL}
            options = {"min_size": 0, "command_timeout": STATEMENT_S, "timeout": CONNECT_S, "reset": _as_it_is}
            options["init"] = made._met
            made._readers = await asyncpg.create_pool(url, max_size=READERS, **options)
            made._log_readers = await asyncpg.create_pool(
                url, max_size=LOG_READERS, server_settings=everything, **options
            )
        except (*GONE, asyncpg.PostgresError, ValueError) as error:
            raise JournalUnavailable(refused(error)) from error
        return made

    async def _met(self, _: "asyncpg.Connection[Any]") -> None:
        self.anew = True

    def connect(self) -> Connection:
        """A connection for one task, made when it is first used."""
        return Connection(self._url)

    async def rows(self, query: str, *parameters: Any, tenant: str = ALL) -> Sequence[Any]:
        """What a named query gives, of one tenant or of all. A caller that goes away does not disturb the connection.

        Raises:
          JournalUnavailable: the database does not answer, or refuses.
        """
        return await self._errands.finish(self._rows(query, parameters, tenant))

    async def _rows(self, query: str, parameters: tuple[Any, ...], tenant: str) -> Sequence[Any]:
        try:
            if tenant == ALL:
                async with self._log_readers.acquire(timeout=CONNECT_S) as connection:
                    found: list[Any] = await connection.fetch(QUERIES[query], *parameters)
            else:
                async with self._readers.acquire(timeout=CONNECT_S) as connection, connection.transaction():
                    await connection.execute(QUERIES["of_tenant_only"], tenant)
                    found = await connection.fetch(QUERIES[query], *parameters)
        except (*GONE, asyncpg.PostgresError) as error:
            if isinstance(error, READ_ONLY):
                await asyncio.gather(self._readers.expire_connections(), self._log_readers.expire_connections())
            raise JournalUnavailable(f"The journal cannot be read ({type(error).__name__}).") from error
        return found

    @contextlib.asynccontextmanager
    async def alone(self, what: Turn) -> AsyncIterator[None]:
        """Hold what only one replica holds at a time; an act is over soon, or who began it is paused and loses it."""
        async with self._patient() as connection:
            try:
                if what == "act":
                    await connection.execute(QUERIES["soon_over"])
                if not await connection.fetchval(QUERIES["turn"], _TURNS[what]):
                    log.info("turn_awaited", to=what, behind="another replica, or an archiving or a migration")
                    await connection.execute(QUERIES["in_turn"], _TURNS[what])
            except (*GONE, asyncpg.PostgresError) as error:
                raise JournalUnavailable(f"This replica's turn did not come ({type(error).__name__}).") from error
            yield

    async def long(self, query: str, *parameters: Any) -> Any:
        """The first value of a statement that may take minutes.

        Raises:
          JournalUnavailable: the database does not answer, or refuses.
        """
        async with self._patient() as connection:
            try:
                return await connection.fetchval(QUERIES[query], *parameters)
            except (*GONE, asyncpg.PostgresError) as error:
                raise JournalUnavailable(f"The database refuses ({type(error).__name__}).") from error

    async def stream(self, query: str, *parameters: Any) -> AsyncIterator[Any]:
        """What a named query gives of all tenants, a part at a time, however much it is.

        Raises:
          JournalUnavailable: the database does not answer, or refuses.
        """
        async with self._patient() as connection:
            try:
                async with connection.transaction(readonly=True):
                    async for row in connection.cursor(QUERIES[query], *parameters, prefetch=PART):
                        yield row
            except (*GONE, asyncpg.PostgresError) as error:
                raise JournalUnavailable(f"The journal cannot be read ({type(error).__name__}).") from error

    @contextlib.asynccontextmanager
    async def _patient(self) -> "AsyncIterator[asyncpg.Connection[Any]]":
        """A connection of its own, whose statements wait as long as they must."""
        try:
            connection = await connect_to(self._url, ALL, None)
        except (*GONE, asyncpg.PostgresError) as error:
            raise JournalUnavailable(f"The database does not let us in ({type(error).__name__}).") from error
        try:
            yield connection
        finally:
            connection.terminate()

    async def listen(self, heard: Callable[[int], None]) -> None:
        """Hear where the log ends, from here on, if that is not so already; who cannot, looks untold."""
        if self._listener is not None and not self._listener.is_closed():
            return
        try:
            self._listener = await self._listening(heard)
            self._deaf = False
        except GONE:
            return  # whoever reads next finds out, and says so
        except asyncpg.PostgresError as error:
            if not self._deaf:
                log.warning("news_not_heard", error=type(error).__name__)
            self._deaf = True

    async def _listening(self, heard: Callable[[int], None]) -> "asyncpg.Connection[Any]":
        connection = await connect_to(self._url, "")
        try:
            await connection.add_listener(CHANNEL, lambda *said: heard(int(said[-1])))
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.terminate()
        self._readers.terminate()
        self._log_readers.terminate()


def refusal_of(error: asyncpg.PostgresError) -> PointsmanError:
    """What the database's refusal is to whoever asked."""
    full = isinstance(error, asyncpg.DiskFullError)
    return StorageFull() if full else JournalUnavailable(f"The database refuses ({type(error).__name__}).")


async def _as_it_is(_: "asyncpg.Connection[Any]") -> None:
    """No statement of ours leaves anything behind; to clean up after each would be one more that is waited for."""


async def connect_to(url: str, tenant: str, longest_s: float | None = STATEMENT_S) -> "asyncpg.Connection[Any]":
    """A connection that sees a tenant's rows, or all; a statement waits for its answer so long, or as it must."""
    said = {"application_name": "pointsman", "pointsman.tenant": tenant, **KEEPALIVE}
    said |= UNHURRIED if longest_s is None else {}
    return await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=longest_s, server_settings=said)


async def _migrate(connection: "asyncpg.Connection[Any]") -> None:
    """Bring the database to the newest schema, one transaction a step; replicas that start at once take turns."""
    await connection.execute(QUERIES["in_turn"], _STEPPING)
    await connection.execute(QUERIES["make_versions"])
    version = await connection.fetchval(QUERIES["version"])
    refuse_newer(version, NEWEST)
    if version < NEWEST and await connection.fetchval(QUERIES["has_schema"]):
        await _refuse_running(connection)
    for step in _STEPS:
        if (number := int(step.name[:3])) > version:
            failpoint("shared.migrate")
            async with connection.transaction():
                await connection.execute(step.read_text("utf-8"))
                await connection.execute(QUERIES["note_version"], number)


async def _refuse_running(connection: "asyncpg.Connection[Any]") -> None:
    """Raises PointsmanError while replicas of an earlier version run: they do not know the schema that is to come."""
    if (holder := await connection.fetchval(QUERIES["leader"])) is not None:
        raise PointsmanError(
            f"replicas of an earlier version run ({holder} leads), and this version has to change the schema; "
            "nothing was changed: stop them all, then start this one (one that was killed counts until its lease ends)"
        )


def refused(error: BaseException) -> str:
    """What kind of refusal it is, without the database's own words, which quote names."""
    why = next((said for kind, said in REFUSALS if isinstance(error, kind)), None)
    if type(error) is ConnectionError:
        why = "it did not agree to TLS; see to sslmode"
    why = why or getattr(error, "strerror", None) or "no answer"
    return f"database_url leads to no database that can be used ({type(error).__name__}: {why})"
