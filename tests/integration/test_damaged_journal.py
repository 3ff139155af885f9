"""A damaged journal ends the start with a sentence that says what to do, and is left as it is."""

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from controlplane.administration import load_registry
from controlplane.clock import FixedClock
from controlplane.data_folder import JOURNAL_FILE, open_journal
from controlplane.errors import JournalDamaged, PointsmanError
from controlplane.rebuilding import rebuild
from controlplane.retention import archive
from controlplane.service import Service
from controlplane.settings import Settings

from ..tampering import tamper
from .conftest import PATIENCE_S, Running, Serve, chosen
from .test_recovery_files import live, opened

PAGE = 16_384


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of a stopped server that lived a little."""
    folder = tmp_path_factory.mktemp("sound")
    with Running(chosen(folder)) as server:
        live(server)
    return folder / JOURNAL_FILE


def harmed(sound: Path, folder: Path, harm: Callable[[bytearray], object]) -> Path:
    """A data folder with a damaged copy, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    content = bytearray(sound.read_bytes())
    harm(content)
    (folder / JOURNAL_FILE).write_bytes(content)
    return folder


@pytest.mark.parametrize("times", [40, pytest.param(1000, marks=pytest.mark.nightly)])
def test_flipped_bits_end_the_start_with_a_sentence_or_change_nothing_that_is_learnt(
    sound: Path, tmp_path: Path, seed: int, times: int
) -> None:
    """Each event has a checksum, and a start without recovery files reads them all."""
    rng, kept, refused, within = random.Random(seed), contents(sound), 0, 0
    learnt = started(chosen(harmed(sound, tmp_path / "data", lambda content: None)))
    for _ in range(times):
        at, bit = rng.randrange(sound.stat().st_size), rng.randrange(8)

        def flip(content: bytearray, at: int = at, bit: int = bit) -> None:
            content[at] ^= 1 << bit

        inside = any(at in content for content in kept)
        within += inside
        try:
            assert started(chosen(harmed(sound, tmp_path / "data", flip))) == learnt, f"bit {bit} of byte {at}"
            assert not inside, f"bit {bit} of byte {at} is an event's"
        except PointsmanError:
            refused += 1
    print(f"{refused} of {times} refused, {within} flips within events")
    assert refused >= within > 0, "the rest fall on indexes, records and where nothing is kept"


def contents(file: Path) -> list[range]:
    """Where in the file the contents of events are that are there in one piece."""
    whole = file.read_bytes()
    with closing(sqlite3.connect(file)) as database:
        payloads = [payload for (payload,) in database.execute("SELECT payload FROM events")]
    at = {whole.find(payload): payload for payload in payloads if whole.count(payload) == 1}
    return [range(start, start + len(payload)) for start, payload in at.items()]


def started(chosen: Settings) -> bytes:
    """Start and stop; what the server had learnt by then."""

    async def start() -> bytes:
        service = await Service.open(chosen)
        learnt = service.learner.state.dump()
        await service.close()
        return learnt

    return asyncio.run(start())


@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_page_of_noise_is_refused_with_what_to_do(sound: Path, tmp_path: Path, seed: int, page: int) -> None:
    noise = random.Random(seed).randbytes(PAGE)

    def overwrite(content: bytearray) -> None:
        content[page * PAGE : (page + 1) * PAGE] = noise

    with pytest.raises(JournalDamaged, match="restore a backup into an empty folder: pointsman restore"):
        opened(chosen(harmed(sound, tmp_path / "data", overwrite)))


@pytest.mark.parametrize("length", [99, PAGE - 1, PAGE, PAGE * 2, PAGE * 3 + 100])
def test_a_file_cut_short_is_refused_with_what_to_do(sound: Path, tmp_path: Path, length: int) -> None:
    def cut(content: bytearray) -> None:
        del content[length:]

    with pytest.raises(JournalDamaged, match="damaged"):
        opened(chosen(harmed(sound, tmp_path / "data", cut)))


@pytest.mark.parametrize("length", [None, 0, 1])
@pytest.mark.parametrize(
    ("left", "named"),
    [
        ("recovery/recovery-00000000000000000009.fold", "recovery files"),
        ("checkpoints/cp_1.fold", "checkpoints"),
        ("archive/events-00000000000000000009.db", "archives"),
        ("pepper", "a pepper"),
    ],
)
def test_an_empty_journal_beside_what_was_made_with_one_is_no_new_one(
    tmp_path: Path, left: str, named: str, length: int | None
) -> None:
    """Neither for a server nor for a command, which would take the archives for leftovers."""
    (tmp_path / left).parent.mkdir(exist_ok=True)
    (tmp_path / left).write_bytes(bytes(32))
    if length is not None:
        (tmp_path / JOURNAL_FILE).write_bytes(bytes(length))
    for _ in range(2):  # what the refused start leaves is no journal, either
        with pytest.raises(JournalDamaged, match=f"it is empty, but there are {named}; to begin anew, move them away"):
            opened(chosen(tmp_path))
        (tmp_path / JOURNAL_FILE).touch()
        with pytest.raises(JournalDamaged, match="it is empty"):
            asyncio.run(archive(tmp_path, 1, FixedClock(), lambda done, of: None))
        with pytest.raises(JournalDamaged, match="it is empty"):
            asyncio.run(rebuild(chosen(tmp_path), verify=False, progress=lambda done, of: None))
    assert (tmp_path / left).exists()


async def test_a_journal_that_lost_all_its_events_is_no_new_one(tmp_path: Path) -> None:
    await (await open_journal(tmp_path)).close()
    (tmp_path / "recovery").mkdir()
    (tmp_path / "recovery" / "recovery-00000000000000000009.fold").touch()
    with pytest.raises(JournalDamaged, match="it is empty, but there are recovery files"):
        await Service.open(chosen(tmp_path))


async def test_a_first_start_that_died_before_its_first_event_is_made_again(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path)
    await load_registry(journal, tmp_path)
    await journal.close()
    assert (tmp_path / "pepper").exists()
    await (await Service.open(chosen(tmp_path))).close()


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE events (seq INTEGER, tenant TEXT, kind TEXT, ref TEXT, at REAL, payload BLOB)",
        "CREATE TABLE events (id INTEGER); PRAGMA user_version = 3",
        "CREATE TABLE places (url TEXT); PRAGMA user_version = 7",
        "CREATE VIEW one AS SELECT 1",
        "PRAGMA application_id = 1196444487",
    ],
)
def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, made: str) -> None:
    with closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as database:
        database.executescript(made)
    before = (tmp_path / JOURNAL_FILE).read_bytes()
    with pytest.raises(PointsmanError, match=r"another program's database.* move it away, or set POINTSMAN_DATA_DIR"):
        opened(chosen(tmp_path))
    assert (tmp_path / JOURNAL_FILE).read_bytes() == before


def test_a_damaged_event_is_refused_while_serving_and_nothing_else_is(serve: Serve) -> None:
    server = serve()
    damaged, whole = server.gate()["trace_id"], server.gate()["trace_id"]
    tamper(Path(server.settings.data_dir), "UPDATE events SET payload = x'7b7d' WHERE ref = ?", damaged)
    refused = server.get(f"/v1/decisions/{damaged}", 500)
    assert refused["code"] == "journal_damaged"
    assert "is not what was written" in refused["detail"]
    assert server.get(f"/v1/decisions/{whole}")["trace_id"] == whole
    assert server.get("/healthz")["status"] == "healthy"


def test_a_memory_that_cannot_be_read_is_no_empty_one(serve: Serve) -> None:
    server = serve()
    episode_id = server.capture()["episode_id"]
    server.stop()
    tamper(Path(server.settings.data_dir), "UPDATE events SET at = at + 1 WHERE seq = ?", episode_id)
    assert asyncio.run(health(server.settings)) == (False, False)


async def health(chosen: Settings) -> tuple[bool, bool]:
    """Healthy, ready: once memory is loaded, or never will be."""
    service = await Service.open(chosen)
    [memory] = [task for task in asyncio.all_tasks() if task.get_name() == "memory"]
    await asyncio.wait([memory], timeout=PATIENCE_S)
    found = service.healthy, service.ready
    await service.close()
    return found


def test_a_refused_start_changes_nothing(sound: Path, tmp_path: Path) -> None:
    folder = harmed(sound, tmp_path / "data", lambda content: content.__setitem__(slice(PAGE, PAGE + 50), bytes(50)))
    before = (folder / JOURNAL_FILE).read_bytes()
    with pytest.raises(JournalDamaged):
        opened(chosen(folder))
    assert (folder / JOURNAL_FILE).read_bytes() == before
