"""A search while vectors are added, removed and the graph is built anew: alive, of what is there, and near enough."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .pinecone_server import pinecone
from .test_vector_index import DIMENSION

ROOT, ENOUGH = Path(__file__).parents[2], 0.95


def hammered(*arguments: object) -> dict[str, Any]:
    """What the searches saw, in a process of their own; enough of the nearest were found."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.contracts.hammer", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"recall {seen['found'] / seen['wanted']:.4f}: {seen}")
    assert seen["found"] / seen["wanted"] >= ENOUGH
    assert seen["during_builds"] > 0
    return seen


@pytest.mark.parametrize("rounds", [400, pytest.param(4_000, marks=pytest.mark.nightly)])
def test_a_search_while_the_index_changes_finds_the_nearest_of_what_is_there(rounds: int, seed: int) -> None:
    seen = hammered(rounds, seed)
    assert seen["builds"] > 1
    assert min(seen["searches"]["exact"], seen["searches"]["hnsw"]) > 0


@pytest.mark.parametrize("rounds", [100, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_the_same_of_vectors_in_a_database(rounds: int, seed: int, database_url: str) -> None:
    """Added, removed, written and indexed meanwhile."""
    hammered(rounds, seed, database_url)


@pytest.mark.parametrize("rounds", [60, pytest.param(1_000, marks=pytest.mark.nightly)])
def test_the_same_of_vectors_in_a_hosted_index(rounds: int, seed: int) -> None:
    with pinecone(DIMENSION) as (url, _):
        hammered(rounds, seed, url)
