"""`pointsman doctor`: what would keep a server from starting, from keeping its promises, or from being fast.

Nothing is changed and a running server is no hindrance; each finding says what to do.
"""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from .clock import Clock
from .data_folder import JOURNAL_FILE, RECOVERY_FOLDER, begun, refuse_new, refuse_used
from .embedding.quantized import SHIPPED_INT8
from .embedding.sentence import SHIPPED, shipped_model, verify
from .errors import BadSetting, JournalDamaged, ModelUntrusted, PointsmanError
from .filesystems import magic_of, refuse_network
from .jetstream import STREAM, NoBroker
from .jetstream import look as look_at_broker
from .journal import versions
from .journal.queries import QUERIES
from .journal.soundness import look_through, reading, unsound
from .memory.pgvector import PgVectors
from .origin import look_at
from .redis import look as look_at_redis
from .settings import Settings
from .tenants import read_pepper, settled_pepper
from .tenants.pepper import FILE as PEPPER_FILE

SYNCS, SLOW_SYNC_MS = 20, 20.0  # how often a small write is synced, and what is too long for one
LITTLE_SPACE = 1 << 30  # bytes
AHEAD_S = 60.0  # how far the newest event may lie in the future


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One look: `fine`, `warning` (it works, but) or `broken` (it will not)."""

    about: str
    state: Literal["fine", "warning", "broken"]
    said: str


def examine(settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Everything there is to look at, in the order a start would meet it."""
    folder = Path(settings.data_dir)
    yield _fine("python", f"{sys.version.split()[0]}")
    yield _fine("settings", f"hash {settings.hash}")
    yield _callers(settings)
    yield _sqlite()
    if settings.broker_url is not None:
        yield _broker(settings.broker_url)
    if settings.database_url is not None:
        yield _database(settings.database_url, settings)
    if settings.vectors == "pgvector" and settings.pgvector_url is not None:
        yield _vectors(settings.pgvector_url)
    try:
        os.listdir(folder)
    except FileNotFoundError:
        yield _fine("data folder", f"{folder} is not there yet; the first start makes it")
        above = next(parent for parent in folder.absolute().parents if parent.exists())
        yield from (look(above) for look in (_filesystem, _writable, _space))
        yield _syncs(above, clock)
        yield _model(settings)
        yield _redis(settings)
        return
    except OSError as error:
        said = f"{folder} cannot be looked into: {error.strerror}; run this as the user the server runs as"
        yield Finding(about="permissions", state="broken", said=said)
        return
    yield from (look(folder) for look in (_filesystem, _permissions, _space))
    yield _syncs(folder, clock)
    if settings.database_url is None:
        yield _pepper(folder)
        yield _journal(folder / JOURNAL_FILE, clock)
    yield _model(settings)
    yield _redis(settings)


def _fine(about: str, said: str) -> Finding:
    return Finding(about=about, state="fine", said=said)


def _callers(settings: Settings) -> Finding:
    if settings.insecure_local:
        said = "no keys are read: whoever reaches this machine's loopback may do anything; leave out insecure_local"
        return Finding(about="keys", state="warning", said=said)
    return _fine("keys", "every call needs one")


def _sqlite() -> Finding:
    risk = versions.warning(sqlite3.sqlite_version_info)
    return Finding(about="sqlite", state="warning" if risk else "fine", said=risk or sqlite3.sqlite_version)


def _broker(url: str) -> Finding:
    try:
        there = asyncio.run(look_at_broker(url))
    except BadSetting as error:
        return Finding(about="broker", state="broken", said=str(error))
    except NoBroker as error:
        said = f"it cannot be told anything ({error}); what happens waits in the outbox"
        return Finding(about="broker", state="warning", said=said)
    return _fine("broker", f"its stream {STREAM} {'is there' if there else 'will be made'}")


def _database(url: str, settings: Settings) -> Finding:
    """Whether the journal of all replicas can be read, and is that of this pepper and this data folder."""
    try:
        from .journal.postgres.looking import look
        from .replication import DATABASE_MARK, PEPPER_MARK, refuse_pepper

        unkeyed = settings.insecure_local and settings.pepper is None
        pepper = None if unkeyed else settled_pepper(settings.pepper)
        said, warning, agreed = asyncio.run(look(url, (DATABASE_MARK, PEPPER_MARK)))
        refuse_used(Path(settings.data_dir), agreed.get(DATABASE_MARK, b""))
        if pepper is not None and PEPPER_MARK in agreed:
            refuse_pepper(pepper, agreed[PEPPER_MARK])
    except PointsmanError as error:
        return Finding(about="database", state="broken", said=str(error))
    return Finding(about="database", state="warning", said=warning) if warning else _fine("database", said)


def _vectors(url: str) -> Finding:
    """Whether a start can write them; it waits until it can."""
    try:
        version = asyncio.run(PgVectors(url).look())
    except PointsmanError as error:
        return Finding(about="vectors", state="broken", said=str(error))
    return _fine("vectors", f"pgvector {version}")


def _filesystem(folder: Path) -> Finding:
    try:
        refuse_network(folder, magic_of(folder))
    except BadSetting as error:
        return Finding(about="file system", state="broken", said=str(error))
    return _fine("file system", "local")


def _writable(folder: Path) -> Finding:
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(about="permissions", state="broken", said=f"{folder} cannot be written; chown or set another")
    return _fine("permissions", f"{folder} can be written")


def _permissions(folder: Path) -> Finding:
    if (found := _writable(folder)).state == "broken":
        return found
    open_files = [path.name for path in folder.iterdir() if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_files:
        said = f"others of this machine can read {', '.join(sorted(open_files)[:3])}; chmod -R go= {folder}"
        return Finding(about="permissions", state="warning", said=said)
    return _fine("permissions", "for the owner only")


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / (1 << 30):.1f} GiB free"
    return Finding(about="space", state="warning" if free < LITTLE_SPACE else "fine", said=said)


def _syncs(folder: Path, clock: Clock) -> Finding:
    """How long an acknowledgement has to wait for the disk."""
    took_ms = []
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(SYNCS):
                begun = clock.monotonic()
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
                took_ms.append((clock.monotonic() - begun) * 1000.0)
    except OSError as error:
        return Finding(about="syncs", state="broken", said=f"nothing can be written to {folder}: {error.strerror}")
    median = statistics.median(took_ms)
    said = f"a small write is on disk after {median:.1f} ms (median of {SYNCS})"
    return Finding(about="syncs", state="warning" if median > SLOW_SYNC_MS else "fine", said=said)


def _pepper(folder: Path) -> Finding:
    """Whether the keys that the journal has can be checked."""
    try:
        with contextlib.closing(reading(folder / JOURNAL_FILE)) as database:
            keys = database.execute(QUERIES["read_access"], (0, 1)).fetchone() is not None
    except sqlite3.Error:  # the look at the journal says so
        keys = False
    if not keys and not (folder / PEPPER_FILE).exists():
        return _fine("pepper", "none yet")
    try:
        read_pepper(folder)
    except BadSetting as error:
        return Finding(about="pepper", state="broken", said=str(error))
    return _fine("pepper", "keys can be checked with it")


def _journal(path: Path, clock: Clock) -> Finding:
    """Whether each row of it is what was written, and whether this machine's clock is behind what it holds."""
    newest_file = max((file.name for file in (path.parent / RECOVERY_FOLDER).glob("recovery-*.fold")), default="")
    try:
        if not begun(path):
            refuse_new(path.parent, pepper=True)
            return _fine("journal", "none yet")
        with contextlib.closing(reading(path)) as database:
            archives = look_through(database)
            seq = database.execute(QUERIES["last_seq"]).fetchone()[0]
            newest = (database.execute(QUERIES["moment"], (seq,)).fetchone() or (0.0,))[0]
        if seq == 0:
            refuse_new(path.parent, pepper=False)
        absent = look_at(path.parent, archives)
    except sqlite3.Error as error:
        unread = f"it cannot be read ({error}); run this as the user the server runs as, and see to the disk"
        return Finding(
            about="journal", state="broken", said=str(JournalDamaged(str(error))) if unsound(error) else unread
        )
    except PointsmanError as error:
        return Finding(about="journal", state="broken", said=str(error))
    if ahead := _ahead(newest_file, seq):
        return ahead
    if newest > clock.now() + AHEAD_S:
        said = f"its newest event lies {newest - clock.now():.0f} s in the future; set this machine's clock"
        return Finding(about="journal", state="warning", said=said)
    if absent:
        said = f"{absent[0]} is not in archive/: without every archive a damaged base cannot be made again"
        return Finding(about="journal", state="warning", said=said)
    return _fine("journal", f"whole, {seq} event(s)" + (f", {archives[-1].seq} of them archived" if archives else ""))


def _ahead(newest_file: str, seq: int) -> Finding | None:
    """A recovery file, seen before the journal was read, that knows of more than the journal has."""
    if newest_file <= f"recovery-{seq:020d}.fold":
        return None
    said = str(JournalDamaged(f"it ends with event {seq}, but {RECOVERY_FOLDER}/{newest_file} knows of more"))
    return Finding(about="journal", state="broken", said=said)


def _model(settings: Settings) -> Finding:
    if settings.embedder not in (SHIPPED, SHIPPED_INT8):
        return _fine("model", f"{settings.embedder}, which is not looked at")
    try:
        verify(shipped_model() / "model.safetensors")
    except (ModelUntrusted, OSError) as error:
        return Finding(about="model", state="broken", said=str(error))
    return _fine("model", "the shipped weights, byte for byte")


def _redis(settings: Settings) -> Finding:
    """A server starts without it, too."""
    if settings.redis_url is None:
        return _fine("redis", "none is set: limits and caches are this server's own")
    try:
        trouble = asyncio.run(look_at_redis(settings.redis_url))
    except BadSetting as error:
        return Finding(about="redis", state="broken", said=str(error))
    if trouble is not None:
        said = f"it does not answer ({trouble}): until it does, limits are shares and nothing is cached there"
        return Finding(about="redis", state="warning", said=said)
    return _fine("redis", "it answers")
