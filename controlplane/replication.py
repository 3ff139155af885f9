"""One of many replicas: every one folds the same log, and one of them acts for all.

A snapshot that the leader publishes is where a new replica begins; from there each folds the log itself, so all hold
the same state bit for bit and decide by it, and nobody waits for the leader to hand it on (state machine replication,
Schneider 1990). What follows from the fold - ends of windows, jobs, promotions, records, snapshots - only the leader
writes, under the lease's token.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import structlog

from auditor import Learner, UnreadableFold
from auditor.protocols import PrefixStore

from .alarms import Alarms
from .checkpoints import CHECKPOINT_FOLDER, CheckpointFiles, RecoveryFiles, checkpoint_id_of, seal, unseal, verified
from .data_folder import claim
from .errors import BadSetting, JournalDamaged, JournalUnavailable, LeaseLost, PointsmanError
from .failpoints import failpoint
from .ids import new_id
from .journal import Journal
from .journal.postgres import LEASE_S, RENEW_S, PostgresJournal
from .journal.postgres.database import UNBOUND
from .origin import Base, Origin
from .outbox import Outbox
from .refold import BEGINNING
from .settings import Settings
from .tenants import derived, settled_pepper

log = structlog.get_logger()
LOOK_S = 0.2  # between two looks at whether this replica is to lead
WRITTEN_S = 5.0  # and at what who leads has written
LATE = 3  # so many times the time between two publications, what is to be published is late
STANDS_BACK_S = 2 * LEASE_S  # so long others may take a lease that was given up, before who gave it up does again
BASE = "base"  # of the last archive
DATABASE_MARK = "database"
PEPPER_MARK, PEPPER_USE = "pepper", "the same pepper at every replica"


class Replication:
    """Makes this replica the leader when the lease is its own, and lets go of it where another would lead better."""

    def __init__(
        self, journal: PostgresJournal, learner: Learner, outbox: Outbox, alarms: Alarms, publishes_each_s: float
    ) -> None:
        self._journal, self._learner, self._outbox, self._alarms = journal, learner, outbox, alarms
        self._late_s = LATE * max(publishes_each_s, RENEW_S)
        self._looked_at = self._in_time_at = self._stands_back_until = 0.0
        self._led = 0  # the last term of the lease
        self._published_seq = -1  # by this replica

    @classmethod
    def of(cls, journal: Journal, learner: Learner, outbox: Outbox, alarms: Alarms, publishes_each_s: float) -> Self:
        """Of a journal that is shared, which PostgreSQL's alone is."""
        assert isinstance(journal, PostgresJournal)
        return cls(journal, learner, outbox, alarms, publishes_each_s)

    async def run(self, healthy: Callable[[], bool]) -> None:
        """Hold the lease where it is free and look for ever; what fails is tried again.

        A replica that is not `healthy` does not lead, and one that led and was late with what is to be published lets
        others do it first.
        """
        async with asyncio.TaskGroup() as together:
            together.create_task(self._hold(healthy), name="lease")
            together.create_task(self._follow(), name="takeover")

    async def _hold(self, healthy: Callable[[], bool]) -> None:
        lease = self._journal.lease
        while True:
            if (why := self._unfit(healthy())) is None:
                await lease.tick()
            elif lease.token is not None:
                log.error("lease_given_up", token=lease.token, why=why)
                self._alarms.given_up(lease.holder, why)
                await lease.release()
            await asyncio.sleep(RENEW_S)

    def _unfit(self, healthy: bool) -> str | None:
        """Why this replica must not lead now; None where it may."""
        now = asyncio.get_running_loop().time()
        if not healthy:
            return "a part that must run has failed"
        if self._journal.lease.token is None or self._learner.version == self._published_seq:
            self._in_time_at = now
        if now - self._in_time_at > self._late_s:
            self._stands_back_until = now + STANDS_BACK_S
        return "what is to be published is late" if now < self._stands_back_until else None

    async def _follow(self) -> None:
        before = None
        while True:
            refusal = None
            try:
                await self._look()
            except PointsmanError as error:
                refusal = str(error)
                if refusal != before:
                    log.warning("takeover_not_finished", error=refusal, again_in_s=LOOK_S)
            before = refusal
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        lease, now = self._journal.lease, asyncio.get_running_loop().time()
        if lease.held and lease.term != self._led:
            await self._take_over(lease.term)
        elif not self._journal.leads and self._journal.trouble is None and now - self._looked_at > WRITTEN_S:
            self._looked_at = now
            self._journal.forget_records(await self._journal.shelf.recorded_seq())
            if (seq := await self._journal.shelf.published_seq()) is not None:
                self._outbox.published(seq)

    async def _take_over(self, term: int) -> None:
        """Fold everything that the one before wrote, then lead."""
        await self._journal.catch_up()
        await self._learner.passed(self._journal.last_seq)
        failpoint("replica.leading")
        self._outbox.take_over()
        self._led = term
        self._journal.lead(term)
        log.info("leading", token=self._journal.lease.token, seq=self._learner.version)

    async def publish(self, seq: int, payload: bytes) -> None:
        """Leave the learnt state where a new replica finds it.

        Raises:
          LeaseLost: another replica leads by now.
        """
        await self._journal.catch_up()  # which finds out where the database lost what this state was folded of
        if not await self._journal.shelf.publish(seq, seal(payload)):
            raise LeaseLost
        self._published_seq, self._in_time_at = seq, asyncio.get_running_loop().time()
        failpoint("replica.published")


class PatientPrefixes:
    """Earlier states for the fold. It waits for a database that is away, or for room: what it skipped, others fold."""

    def __init__(self, prefixes: PrefixStore) -> None:
        self._prefixes = prefixes

    async def prefix(self, tenant: str, seq: int) -> bytes:
        while True:
            try:
                return await self._prefixes.prefix(tenant, seq)
            except (JournalUnavailable, OSError) as error:
                log.warning("restore_waits", error=str(error), again_in_s=LOOK_S)
                await asyncio.sleep(LOOK_S)


class SharedCheckpoints(CheckpointFiles):
    """In the database, where every replica finds them; the folder has those alone that an archive's base rests on."""

    def __init__(self, journal: PostgresJournal, folder: Path) -> None:
        super().__init__(folder)
        self._journal = journal

    @classmethod
    def of(cls, journal: Journal, folder: Path) -> Self:
        """Beside a journal that is shared, which PostgreSQL's alone is."""
        assert isinstance(journal, PostgresJournal)
        return cls(journal, folder)

    async def keep(self, payload: bytes) -> str:
        checkpoint_id = checkpoint_id_of(payload)
        await self._journal.shelf.put_file(checkpoint_id, seal(payload))
        return checkpoint_id

    async def find(self, checkpoint_id: str) -> bytes:
        if (sealed := await self._journal.shelf.get_file(checkpoint_id)) is None:
            raise UnreadableFold("the database does not have the checkpoint's file")
        return verified(unseal(sealed), checkpoint_id)

    async def fetch(self, checkpoint_id: str) -> None:
        """Have it in the folder.

        Raises:
          UnreadableFold: the database does not have it, or it is damaged.
        """
        try:
            self.read(checkpoint_id)
        except UnreadableFold:
            self.write(await self.find(checkpoint_id))

    async def drop(self, checkpoint_id: str) -> None:
        base = await base_of(self._journal)  # of an archive that was made since this replica started, perhaps
        if base is not None and checkpoint_id in {name for _, _, name in base.prefixes}:
            return
        await self._journal.shelf.drop_file(checkpoint_id)


async def join(journal: Journal, settings: Settings, recovery: RecoveryFiles) -> bytes | None:
    """Begin where the others are: with the state that was published last, and with their pepper, which is returned.

    Raises:
      BadSetting: the pepper is missing, or another one; or the data folder is another database's, or is full.
      PointsmanError: an embedded journal is being copied there.
    """
    assert isinstance(journal, PostgresJournal)
    await journal.shelf.refuse_half()
    [[unbound]] = await journal.database.rows("unbound")
    if unbound:
        log.warning("rows_not_guarded", why=UNBOUND)
    try:
        await claim_for(journal, Path(settings.data_dir))
        seq = await fetch_snapshot(journal, recovery)
    except OSError as error:
        said = f"the data folder {settings.data_dir} cannot be written: {error.strerror}"
        raise BadSetting(f"{said}; make room there, or set POINTSMAN_DATA_DIR") from error
    if seq is not None:
        log.info("snapshot_fetched", seq=seq)
    if settings.insecure_local and settings.pepper is None:
        return None
    pepper = settled_pepper(settings.pepper)
    await agree_on_pepper(journal, pepper)
    return pepper


async def claim_for(journal: Journal, folder: Path, *, copied: bool = False) -> None:
    """Note in a data folder which database it is used with, by the mark that whoever came first gave the database.

    Raises:
      BadSetting: as `claim` says.
    """
    assert isinstance(journal, PostgresJournal)
    claim(folder, await journal.shelf.agreed(DATABASE_MARK, new_id("db").encode()), copied=copied)


async def base_of(journal: PostgresJournal) -> Base | None:
    """What the last archive left.

    Raises:
      JournalDamaged: it is not what was laid.
    """
    if (sealed := await journal.shelf.get_file(BASE)) is None:
        return None
    try:
        return msgspec.msgpack.decode(unseal(sealed), type=Base)
    except (UnreadableFold, msgspec.MsgspecError) as error:
        raise JournalDamaged(f"the base of the archive in the database cannot be read: {error}") from error


async def origin_of(journal: Journal, folder: Path) -> Origin:
    """Where folding begins: with nothing, or with what the last archive left, whose files are fetched.

    Raises:
      JournalDamaged: the base is not what was laid, or a file of it is gone.
      PointsmanError: an embedded journal is being copied there.
    """
    assert isinstance(journal, PostgresJournal)
    await journal.shelf.refuse_half()
    if (base := await base_of(journal)) is None:
        return BEGINNING
    files = SharedCheckpoints(journal, folder / CHECKPOINT_FOLDER)
    try:
        for _, _, name in base.prefixes:
            await files.fetch(name)
    except UnreadableFold as error:
        raise JournalDamaged(f"a checkpoint that the base of the archive rests on cannot be read: {error}") from error
    return Origin(journal.archived_seq, base, files)


async def fetch_snapshot(journal: Journal, recovery: RecoveryFiles) -> int | None:
    """Bring the newest published state here, unless there is a newer one; after which event it is."""
    assert isinstance(journal, PostgresJournal)
    newest = max((int(file.stem.removeprefix("recovery-")) for file in recovery.files()), default=0)
    if (published := await journal.shelf.newest_snapshot(newest)) is None:
        return None
    seq, sealed = published
    await asyncio.to_thread(recovery.write, unseal(sealed), seq)
    return seq


async def agree_on_pepper(journal: PostgresJournal, pepper: bytes) -> None:
    """Raises BadSetting as `refuse_pepper` does."""
    refuse_pepper(pepper, await journal.shelf.agreed(PEPPER_MARK, derived(pepper, PEPPER_USE)))


def refuse_pepper(pepper: bytes, agreed: bytes) -> None:
    """Raises BadSetting where other replicas have another pepper: keys would be known at some and not at others."""
    if agreed != derived(pepper, PEPPER_USE):
        raise BadSetting("this pepper is not the one that the other replicas have; set POINTSMAN_PEPPER_FILE to theirs")
