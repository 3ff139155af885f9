"""A search while vectors are added, removed and the graph is built anew: alive, of what is there, and near enough."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT, ENOUGH = Path(__file__).parents[2], 0.95


@pytest.mark.parametrize("rounds", [400, pytest.param(4_000, marks=pytest.mark.nightly)])
def test_a_search_while_the_index_changes_finds_the_nearest_of_what_is_there(rounds: int, seed: int) -> None:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.contracts.hammer", str(rounds), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    print(f"recall {seen['found'] / seen['wanted']:.4f}: {seen}")
    assert seen["found"] / seen["wanted"] >= ENOUGH
    assert seen["builds"] > 1
    assert min(seen["searches"]["exact"], seen["searches"]["hnsw"], seen["during_builds"]) > 0
