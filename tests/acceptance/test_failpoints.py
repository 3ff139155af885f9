"""The server dies at every named place under load: what was acknowledged is there once, the rest is whole or absent."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controlplane.failpoints import FAILPOINTS

from ..integration.conftest import Running, chosen
from .crowd import REPORTS, Crowd, verified
from .places import cases
from .test_archive import ARCHIVING
from .test_replicas import REPLICATED
from .test_shared_archive import MIGRATING, SHARED_ARCHIVING
from .test_spending import SPENDING
from .test_vectors import VECTORS

Start = Callable[..., Any]
Cli = Callable[..., Any]
SELDOM = {"POINTSMAN_RECOVERY_INTERVAL_S": "3600"}

# Where a place is passed while the server answers: at which pass it acts, and the settings that lead there.
SERVING: dict[str, tuple[int, dict[str, str]]] = {
    "journal.insert": (60, SELDOM),
    "journal.committed": (60, SELDOM),
    "journal.erase": (2, SELDOM),
    "journal.erased": (2, SELDOM),
    "file.written": (2, SELDOM),
    "file.synced": (2, SELDOM),
    "file.renamed": (2, SELDOM),
    "checkpoint.filed": (2, SELDOM),
    "checkpoint.appended": (2, SELDOM),
    "restore.appended": (1, SELDOM),
    "feedback.appended": (40, SELDOM),
    "validation.appended": (12, SELDOM),
    "capture.appended": (20, SELDOM),
    "purge.appended": (2, SELDOM),
    "expiry.appended": (1, {**SELDOM, "POINTSMAN_GATE_WINDOW_S": "0.3"}),
}
STARTING = {"start.locked": 1, "journal.migrate": 2, "start.configured": 1}
STOPPING = ("shutdown.recovery", "recovery.dumped", "recovery.prune", "journal.records", "journal.recorded")
# test_documents.py; test_sessions.py; test_pruning.py; test_purging.py; test_outbox.py and test_reflecting.py: they
# need a receiver, a provider
ELSEWHERE = {
    "query.appended",
    "session.appended",
    "ranker.appended",
    "documents.appended",
    "outbox.done",
    "prune.appended",
    "reflection.appended",
    "eviction.appended",
    "skill.appended",
    "purge.page",
}
# Places that are passed in two ways; the second way is tried at night only.
FILES = ("file.written", "file.synced", "file.renamed")
WHILE_SERVING = ("recovery.dumped", "recovery.prune", "journal.records", "journal.recorded", *FILES)


def test_every_failpoint_is_exercised() -> None:
    embedded = {*SERVING, *STARTING, *STOPPING, *ARCHIVING, *SPENDING, *ELSEWHERE}
    assert embedded | {*REPLICATED, *SHARED_ARCHIVING, *MIGRATING, *VECTORS} == set(FAILPOINTS)


@cases(SERVING)
def test_a_server_that_dies_under_load_loses_nothing(
    start: Start, tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    nth, how = SERVING[name]
    crowd = Crowd(seed + repeat)
    doomed = start(**how, POINTSMAN_FAILPOINTS=f"{name}:kill@{nth + repeat * (nth > 2)}")
    crowd.visit(doomed.url)
    assert doomed.wait() == -signal.SIGKILL
    _lives_on(crowd, tmp_path / "data")


@cases(STARTING)
def test_a_server_that_dies_at_its_start_starts_again(
    cli: Cli, tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    crowd = Crowd(seed + repeat)
    if name != "journal.migrate":
        with Running(chosen(tmp_path / "data", gamma=0.8)) as first:
            crowd.visit(first.url, 40)
    doomed = cli("serve", "--port", "0", POINTSMAN_FAILPOINTS=f"{name}:kill@{STARTING[name]}")
    assert doomed.returncode == -signal.SIGKILL
    _lives_on(crowd, tmp_path / "data")


@cases([], nightly=WHILE_SERVING)
def test_a_server_that_dies_while_it_writes_recovery_files_loses_nothing(
    start: Start, tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    crowd = Crowd(seed + repeat)
    doomed = start(POINTSMAN_RECOVERY_INTERVAL_S="0.1", POINTSMAN_FAILPOINTS=f"{name}:kill@{1 + repeat % 3}")
    crowd.visit(doomed.url)
    assert doomed.wait() == -signal.SIGKILL
    _lives_on(crowd, tmp_path / "data")


@cases(STOPPING, nightly=FILES)
def test_a_server_that_dies_while_it_stops_has_lost_nothing(
    start: Start, tmp_path: Path, seed: int, name: str, repeat: int
) -> None:
    crowd = Crowd(seed + repeat)
    with Running(chosen(tmp_path / "data", gamma=0.8)) as first:
        crowd.visit(first.url, 40, weights=REPORTS)
    [before] = (tmp_path / "data" / "recovery").iterdir()
    doomed = start(**SELDOM, POINTSMAN_FAILPOINTS=f"{name}:kill@1")
    crowd.visit(doomed.url, 40, weights=REPORTS)
    assert doomed.end() == -signal.SIGKILL
    assert before.exists(), "the older recovery file is still there"
    _lives_on(crowd, tmp_path / "data")


def _lives_on(crowd: Crowd, folder: Path) -> None:
    """Started again without failpoints: nothing is missing, it goes on, and the journal folds to the same bytes."""
    with Running(chosen(folder)) as server:
        assert server.get("/status")["recovery"]["damaged"] == []
        crowd.visit(server.url, 30)
    crowd.check(folder)
    verified(folder)
    assert list(folder.rglob("*.tmp")) == [], "what a crash left half-written is cleared away"
