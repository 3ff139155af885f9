"""Folding the whole journal again gives the same bits, and a changed bit anywhere is found."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.events import Recorded
from controlplane import refold as again
from controlplane.checkpoints import RecoveryFiles
from controlplane.errors import BadSetting, JournalDamaged, PointsmanError, RecordDamaged
from controlplane.journal import SqliteJournal
from controlplane.rebuilding import RebuildReport, rebuild
from controlplane.settings import Settings

from ..tampering import SEAL, SEAL_RECORDS, tamper
from .conftest import Running, chosen

Serve = Callable[..., Any]
ASKED = {"goal": "ship", "planned_action": "make ship", "environment": {"stage": "prod"}}


def live(server: Any, times: int = 8) -> int:
    """Decisions, reports, tasks, validations, an answer nobody acted on; the episode they rest on."""
    episode_id: int = server.post("/v1/capture", {**ASKED, "error_trace": "Error: x", "resolution": "y"}, 201)[
        "episode_id"
    ]
    for i in range(times):
        routed = server.route("a/1", "b/2", context={"region": f"r{i % 3}", "zone": i % 2}, goal=f"goal {i % 4}")
        server.feedback(routed["trace_id"], latency_ms=30.0 * i, cost=0.01 * i, executed=i != 3)
        gated = server.post("/v1/decisions", {**ASKED, "task_id": f"task {i % 2}"})
        server.feedback(gated["trace_id"], success=bool(i % 3), applied_suggestion=True)
        server.post("/v1/validate_fix", {"episode_id": episode_id, "outcome": "success"})
    return episode_id


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that lived and stopped."""
    folder = tmp_path_factory.mktemp("lived") / "data"
    with Running(chosen(folder)) as server:
        live(server)
    return folder


@pytest.fixture
def lived(stopped: Path, tmp_path: Path) -> Settings:
    """The settings of a server that lived and stopped; its data folder is this test's own."""
    return chosen(shutil.copytree(stopped, tmp_path / "data"))


def verify(settings: Settings) -> RebuildReport:
    return asyncio.run(rebuild(settings, verify=True, progress=lambda n, of: None))


def refold(settings: Settings) -> RebuildReport:
    return asyncio.run(rebuild(settings, verify=False, progress=lambda n, of: None))


def change(settings: Settings, statement: str, *values: Any) -> None:
    """Tamper with the stopped server's journal."""
    tamper(Path(settings.data_dir), statement, *values)


def recovery(settings: Settings) -> Path:
    return Path(settings.data_dir) / "recovery"


def test_folding_again_is_bit_identical(serve: Serve) -> None:
    server = serve(epsilon=0.3)
    live(server, 25)
    last = server.last_seq
    server.stop()
    report = verify(server.settings)
    assert report.differences == []
    assert report.verdict == f"bit-identical to recovery-{last:020d}.fold"
    assert report.events == report.seq == last


def test_a_multi_step_rule_folds_again_bit_for_bit_also_with_tasks_under_way(serve: Serve) -> None:
    """The server is stopped and started in the middle of tasks, and goes back to a checkpoint made there."""
    server = serve(epsilon=0.3, update_rule="tree_backup")
    live(server)
    kept = server.post("/v1/checkpoints", {"name": "under way"}, 201)["checkpoint_id"]
    assert server.get("/status")["open_decisions"] > 2
    server.stop()
    server = serve(epsilon=0.3, update_rule="tree_backup")
    live(server)
    server.post(f"/v1/checkpoints/{kept}/restore")
    live(server)
    updates = server.get("/status")["model"]["updates"]
    for task in range(2):
        ended = server.post("/v1/decisions", {**ASKED, "task_id": f"task {task}"})
        assert server.feedback(ended["trace_id"], success=True, terminal=True)["updated"]
    assert server.get("/status")["model"]["updates"] > updates + 10
    server.stop()
    assert verify(server.settings).differences == []


def test_it_is_bit_identical_after_restores_of_restores(serve: Serve) -> None:
    server = serve(epsilon=0.3)
    first = server.post("/v1/checkpoints", {"name": "empty"}, 201)["checkpoint_id"]
    live(server)
    second = server.post("/v1/checkpoints", {"name": "one"}, 201)["checkpoint_id"]
    open_trace = server.route("a/1")["trace_id"]
    live(server)
    server.post(f"/v1/checkpoints/{first}/restore")
    live(server)
    server.post(f"/v1/checkpoints/{second}/restore")
    server.feedback(open_trace, latency_ms=10)
    live(server)
    server.stop()
    assert verify(server.settings).differences == []
    shutil.rmtree(Path(server.settings.data_dir) / "checkpoints")
    assert verify(server.settings).differences == [], "from the journal alone"


class WithoutActs:
    """A journal whose index of operators' acts leads nowhere."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.read = journal.read

    async def acts(self, tenant: str, before: int, limit: int) -> list[Recorded]:
        return []


def test_a_restore_that_the_index_does_not_lead_to_is_damage(serve: Serve) -> None:
    server = serve()
    checkpoint = server.post("/v1/checkpoints", {"name": "empty"}, 201)["checkpoint_id"]
    server.post(f"/v1/checkpoints/{checkpoint}/restore")
    journal = server.service.journal
    with pytest.raises(JournalDamaged, match=f"an index does not lead to the restored at {server.last_seq}"):
        server.run(again.refold(WithoutActs(journal), journal.last_seq))


def test_it_is_bit_identical_after_an_episode_was_purged(serve: Serve) -> None:
    server = serve()
    episode_id = live(server)
    assert server.client.delete(f"/v1/episodes/{episode_id}").status_code == 204
    live(server, 3)
    server.stop()
    assert verify(server.settings).differences == []


def test_it_is_bit_identical_across_restarts_with_other_settings(serve: Serve) -> None:
    for settings in ({}, {"alpha": 0.2, "gamma": 0.5}, {"gate_mode": "apprentice"}, {"route_mode": "frozen"}, {}):
        server = serve(**settings)
        live(server, 4)
        server.stop()
    assert verify(server.settings).differences == []


def test_it_is_bit_identical_when_windows_and_tasks_ended_by_themselves(serve: Serve) -> None:
    server = serve(route_window_s=0.05, gate_window_s=0.05, trajectory_ttl_s=0.05)
    for i in range(5):
        server.route("a/1", "b/2")
        server.gate(task_id=f"t{i}")
    server.until(lambda: server.get("/status")["model"]["updates"] == 10)
    server.stop()
    assert verify(server.settings).differences == []


def test_it_works_beside_a_running_server(serve: Serve) -> None:
    server = serve(recovery_interval_s=0.05)
    live(server, 3)
    server.until(lambda: server.get("/status")["recovery"]["files"])
    assert verify(server.settings).differences == []
    with pytest.raises(BadSetting, match="another Pointsman"):
        refold(server.settings)


def test_a_fresh_recovery_file_is_what_the_server_wrote(lived: Settings) -> None:
    [before] = recovery(lived).iterdir()
    content = before.read_bytes()
    before.unlink()
    change(lived, "DELETE FROM learned")
    report = refold(lived)
    assert report.verdict == "a fresh recovery file is written"
    assert before.read_bytes() == content
    assert verify(lived).differences == [], "the records are written again, too"
    assert refold(lived).seq == report.seq, "the folder was let go"


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("replace(payload, '\"latency_ms\":30.0', '\"latency_ms\":31.0')", "kind = 'feedback'"),
        ("replace(payload, '\"success\":true', '\"success\":false')", "kind = 'feedback'"),
        ("replace(payload, '\"success\":true', '\"success\":false')", "kind = 'validation'"),
        ("replace(payload, '\"gamma\":0.92', '\"gamma\":0.93')", "kind = 'configured'"),
    ],
)
def test_a_changed_event_is_found(lived: Settings, what: str, where: str) -> None:
    change(lived, f"UPDATE events SET payload = CAST({what} AS BLOB) WHERE {where}")
    with pytest.raises(JournalDamaged, match=r"event \d+ is not what was written"):
        verify(lived)
    change(lived, SEAL)
    report = verify(lived)
    assert report.verdict == "DIFFERENT from what the server wrote"
    assert report.differences


def test_a_removed_event_is_found(lived: Settings) -> None:
    change(lived, "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events WHERE kind = 'feedback') - 9")
    with pytest.raises(JournalDamaged, match=r"event \d+ is missing"):
        verify(lived)


def test_an_event_that_cannot_be_read_is_named(lived: Settings) -> None:
    change(lived, "UPDATE events SET payload = x'7b' WHERE seq = 7")
    with pytest.raises(PointsmanError, match=r"event 7 is not what was written.*restore a backup"):
        verify(lived)


@pytest.mark.parametrize("part", ["value", "visits", "updates", "cases", "validations", "open"])
def test_a_changed_and_resealed_recovery_file_is_found(lived: Settings, part: str) -> None:
    files = RecoveryFiles(recovery(lived))
    state = files.newest(10**9)
    fold = state.tenants["default"]
    match part:
        case "value" | "visits":
            [key, action, value, visits] = next(iter(fold.policies["route"].table.cells()))
            changed = (value + 1e-12, visits) if part == "value" else (value, visits + 1)
            fold.policies["route"].table.put(key, action, *changed)
        case "updates":
            fold.policies["gate"].updates += 1
        case "cases":
            fold.cases.observe("", "made up", (), True)
        case "validations":
            fold.skills.count(2, None, True)
        case "open":
            del fold.credit.open[next(iter(fold.credit.open))]
    files.write(state.dump(), state.seq)
    report = verify(lived)
    assert report.differences == ["the learnt state of tenant 'default' differs"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM learned WHERE trace_id = (SELECT min(trace_id) FROM learned)",
        """UPDATE learned SET record = CAST(replace(record, '"truncated":false', '"truncated":true') AS BLOB)""",
    ],
)
def test_a_changed_record_of_what_was_learnt_is_found(lived: Settings, statement: str) -> None:
    change(lived, statement)
    change(lived, SEAL_RECORDS)
    assert any("record of tr_" in difference for difference in verify(lived).differences)


@pytest.mark.parametrize("part", ["record = x'7b'", "trace_id = trace_id || 'x'", "seq = seq + 1", "checksum = NULL"])
def test_a_damaged_record_is_noticed_and_written_again_by_a_rebuild(lived: Settings, part: str) -> None:
    change(lived, f"UPDATE learned SET {part}")
    with pytest.raises(RecordDamaged, match="pointsman rebuild"):
        verify(lived)
    refold(lived)
    assert verify(lived).differences == []


def test_there_must_be_something_to_compare(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    live(server, 1)
    server.stop()
    shutil.rmtree(recovery(server.settings))
    with pytest.raises(PointsmanError, match="no recovery file to compare with"):
        verify(server.settings)
