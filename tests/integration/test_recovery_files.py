"""Recovery files: whatever happens to them, the server starts with the same learnt bytes, or folds the journal."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor import UnreadableFold
from controlplane.checkpoints import GENERATIONS, HEADER, RecoveryFiles, seal, unseal
from controlplane.errors import JournalDamaged
from controlplane.service import Service
from controlplane.settings import Settings

from ..tampering import tamper
from .conftest import Running, chosen
from .test_rebuild import verify

Serve = Callable[..., Any]
STRIDES = [16, pytest.param(1, marks=pytest.mark.nightly)]
EVERYTHING = 10**9


def live(server: Any, times: int = 12) -> None:
    """A bit of everything that is learnt from."""
    asked = {"goal": "ship", "planned_action": "make ship", "task_id": "task", "environment": {"stage": "prod"}}
    episode_id = server.post("/v1/capture", {**asked, "error_trace": "Error: x", "resolution": "y"}, 201)["episode_id"]
    for i in range(times):
        routed = server.route("a/1", "b/2", context={"region": f"r{i % 3}"})
        server.feedback(routed["trace_id"], latency_ms=30.0 * i, cost=0.01 * i, failures=i % 2)
        gated = server.post("/v1/decisions", asked)
        server.feedback(gated["trace_id"], success=bool(i % 3), applied_suggestion=True)
        server.post("/v1/validate_fix", {"episode_id": episode_id, "outcome": "success" if i % 4 else "failure"})
    server.route("a/1")  # one that stays open


def learnt(server: Any) -> bytes:
    """The learnt state, once everything that was answered is in it."""
    server.until(lambda: server.get("/status")["journal"]["learner_lag"] == 0)
    dump: bytes = server.service.learner.state.dump()
    return dump


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, bytes]]:
    """Two states of one server, an older and a newer one, as they are dumped."""
    with Running(chosen(tmp_path_factory.mktemp("history"))) as server:
        live(server, 3)
        older = learnt(server)
        live(server, 3)
        yield older, learnt(server)


@pytest.fixture
def files(tmp_path: Path, history: tuple[bytes, bytes]) -> RecoveryFiles:
    """A folder with the older state as generation 1 and the newer one as generation 2."""
    made = RecoveryFiles(tmp_path / "recovery")
    made.write(history[0], 1)
    made.write(history[1], 2)
    return made


def test_sealing_and_unsealing_gives_the_payload_back() -> None:
    for payload in (b"", b"x", bytes(range(256)) * 40):
        assert unseal(seal(payload)) == payload


@pytest.mark.parametrize("sealed", [b"", b"P", b"\x00" * 4096, b"garbage" * 100, b"PMFOLD01", seal(b"x")[:-1]])
def test_what_was_not_sealed_is_not_unsealed(sealed: bytes) -> None:
    with pytest.raises(UnreadableFold):
        unseal(sealed)


def test_a_sealed_file_of_another_format_is_refused() -> None:
    sealed = bytearray(seal(b"payload"))
    sealed[7] = ord("2")  # PMFOLD02
    with pytest.raises(UnreadableFold, match="format"):
        unseal(bytes(sealed))


def test_a_well_sealed_file_that_holds_no_state_is_passed_over(files: RecoveryFiles, history: Any) -> None:
    files.write(b"\x93\x01\x02\x03", 3)
    assert files.newest(EVERYTHING).dump() == history[0 + 1]


@pytest.mark.parametrize("stride", STRIDES)
def test_a_flipped_byte_or_bit_anywhere_is_noticed_and_the_generation_before_is_used(
    files: RecoveryFiles, history: tuple[bytes, bytes], stride: int
) -> None:
    newest = files.files()[0]
    intact = newest.read_bytes()
    offsets = [*range(HEADER.size), *range(HEADER.size, len(intact), stride), len(intact) - 1]
    for offset in offsets:
        for flipped in (0xFF, 1 << offset // stride % 8):
            harmed = bytearray(intact)
            harmed[offset] ^= flipped
            newest.write_bytes(harmed)
            assert files.newest(EVERYTHING).dump() == history[0], (offset, flipped)
    assert files.damaged == [newest.name] * 2 * len(offsets)
    newest.write_bytes(intact)
    assert files.newest(EVERYTHING).dump() == history[1]


@pytest.mark.parametrize("stride", STRIDES)
def test_a_file_cut_anywhere_is_noticed_and_the_generation_before_is_used(
    files: RecoveryFiles, history: tuple[bytes, bytes], stride: int
) -> None:
    newest = files.files()[0]
    intact = newest.read_bytes()
    for length in [*range(0, len(intact), stride), len(intact) - 1]:
        newest.write_bytes(intact[:length])
        assert files.newest(EVERYTHING).dump() == history[0], length
    newest.write_bytes(intact + b"\x00")
    assert files.newest(EVERYTHING).dump() == history[0], "too long is as wrong as too short"


def test_zeros_where_a_file_was_are_noticed(files: RecoveryFiles, history: tuple[bytes, bytes]) -> None:
    newest = files.files()[0]
    intact = newest.read_bytes()
    for start in (0, HEADER.size, len(intact) // 2):
        newest.write_bytes(intact[:start] + bytes(len(intact) - start))
        assert files.newest(EVERYTHING).dump() == history[0]


def test_with_every_file_damaged_there_is_no_state_to_start_from(files: RecoveryFiles) -> None:
    for path in files.files():
        path.write_bytes(path.read_bytes()[:-7])
    assert files.newest(EVERYTHING) is None
    assert len(files.damaged) == 2


def test_a_file_ahead_of_the_journal_is_not_used(files: RecoveryFiles, history: tuple[bytes, bytes]) -> None:
    newer = files.newest(EVERYTHING)
    assert files.newest(newer.seq).dump() == history[1]
    assert files.newest(newer.seq - 1).dump() == history[0]
    assert files.newest(0) is None


def test_three_generations_are_kept_and_none_is_half_written(files: RecoveryFiles, history: Any) -> None:
    for seq in range(3, 9):
        files.write(history[1], seq)
        assert len(files.files()) == GENERATIONS
    names = sorted(path.name for path in files.files()[0].parent.iterdir())
    assert names == [f"recovery-{seq:020d}.fold" for seq in (6, 7, 8)]


def test_what_a_crash_left_of_a_write_is_ignored(files: RecoveryFiles, history: tuple[bytes, bytes]) -> None:
    (files.files()[0].parent / f"recovery-{9:020d}.tmp").write_bytes(b"half a fi")
    assert files.newest(EVERYTHING).dump() == history[1]
    assert files.damaged == []


def test_stopping_writes_a_recovery_file_at_the_last_event(serve: Serve) -> None:
    server = serve()
    live(server)
    last, before = server.last_seq, learnt(server)
    server.stop()
    folder = Path(server.settings.data_dir) / "recovery"
    assert [path.name for path in folder.iterdir()] == [f"recovery-{last:020d}.fold"]
    again = serve()
    assert learnt(again) == before
    assert again.last_seq == last, "a start without changes writes nothing"


def test_recovery_files_are_written_while_it_runs(serve: Serve) -> None:
    server = serve(recovery_interval_s=0.05)
    live(server, 2)
    expected = f"recovery-{server.last_seq:020d}.fold"
    server.until(lambda: expected in server.get("/status")["recovery"]["files"])


def two_files(serve: Serve) -> tuple[Any, list[Path]]:
    """What a server that lived twice has learnt, and its recovery files, the newest first."""
    for _ in range(2):
        server = serve()
        live(server, 4)
        before = learnt(server)
        server.stop()
    return before, sorted((Path(server.settings.data_dir) / "recovery").iterdir(), reverse=True)


@pytest.mark.parametrize("harm", ["newest flipped", "newest empty", "all flipped", "all gone"])
def test_a_damaged_file_costs_time_and_nothing_that_was_learnt(serve: Serve, harm: str) -> None:
    before, paths = two_files(serve)
    match harm:
        case "newest flipped":
            _flip(paths[0])
        case "newest empty":
            paths[0].write_bytes(b"")
        case "all flipped":
            for path in paths:
                _flip(path)
        case "all gone":
            for path in paths:
                path.unlink()
    again = serve()
    assert learnt(again) == before
    named = again.get("/status")["recovery"]["damaged"]
    assert bool(named) == (harm != "all gone")
    decided = again.route("a/1", "b/2")
    assert again.feedback(decided["trace_id"], latency_ms=5)["updated"] is True


def test_files_that_took_each_other_s_place_cost_time_and_nothing_that_was_learnt(serve: Serve) -> None:
    before, (newer, older) = two_files(serve)
    contents = older.read_bytes(), newer.read_bytes()
    newer.write_bytes(contents[0])
    older.write_bytes(contents[1])
    again = serve()
    assert learnt(again) == before
    again.stop()
    assert verify(again.settings).differences == []


def test_a_file_of_another_data_folder_is_found_by_a_verification(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    live(server, 4)
    server.stop()
    [ours] = (Path(server.settings.data_dir) / "recovery").iterdir()
    with Running(chosen(tmp_path / "other")) as other:
        live(other, 3)
    [theirs] = (tmp_path / "other" / "recovery").iterdir()
    ours.write_bytes(theirs.read_bytes())
    assert verify(server.settings).differences == ["the learnt state of tenant 'default' differs"]


def test_a_file_ahead_of_the_journal_ends_the_start_for_events_are_gone(serve: Serve) -> None:
    server = serve()
    live(server, 2)
    last, folder = server.last_seq, Path(server.settings.data_dir)
    server.stop()
    tamper(folder, "DELETE FROM events WHERE seq > ?", last - 3)
    said = f"it ends with event {last - 3}, but recovery/recovery-{last:020d}.fold .* acknowledged events are gone"
    with pytest.raises(JournalDamaged, match=said):
        opened(server.settings)
    (folder / "recovery" / f"recovery-{last:020d}.fold").unlink()
    assert opened(server.settings) == last - 3, "an operator who knows may go on without them"


def opened(chosen: Settings) -> int:
    """Start and stop; the last event."""

    async def start() -> int:
        service = await Service.open(chosen)
        await service.close()
        return service.journal.last_seq

    return asyncio.run(start())


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
