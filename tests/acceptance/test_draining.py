"""Told to stop under load, again and again: what was asked is finished, nothing acknowledged is lost, exit code 0."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .crowd import Crowd, verified

Start = Callable[..., Any]
GRACE_S = 10.0


@pytest.mark.parametrize("times", [4, pytest.param(100, marks=pytest.mark.nightly)])
def test_a_server_that_is_told_to_stop_under_load_drains_and_ends_in_order(
    start: Start, tmp_path: Path, seed: int, times: int
) -> None:
    crowd, rng, slowest = Crowd(seed), random.Random(seed), 0.0
    for _ in range(times):
        server = start()
        load = threading.Thread(target=crowd.visit, args=(server.url,))
        before = crowd.acknowledged.total()
        load.start()
        while crowd.acknowledged.total() < before + 50:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.2)
        told = time.monotonic()
        assert server.end() == 0
        slowest = max(slowest, time.monotonic() - told)
        load.join()
        assert "Traceback" not in server.errors
        last = max(path.name for path in (tmp_path / "data" / "recovery").iterdir())
        crowd.check(tmp_path / "data")
        assert last == f"recovery-{_last_seq(tmp_path):020d}.fold", "the recovery file holds the last event"
    print(f"slowest stop {slowest:.2f} s, {crowd.acknowledged.total()} acknowledged")
    assert slowest < GRACE_S
    verified(tmp_path / "data")


def _last_seq(folder: Path) -> int:
    database = sqlite3.connect(folder / "data" / "journal.db")
    [(last,)] = database.execute("SELECT max(seq) FROM events")
    database.close()
    return int(last)
