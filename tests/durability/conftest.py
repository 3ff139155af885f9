"""Where disks are made, and the seed of what is drawn."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: nothing in it has to survive."""
    with TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as made:
        yield Path(made) / "data"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of the first history; `--seed` changes it."""
    chosen: int = request.config.getoption("--seed")
    print(f"seed {chosen}")
    return chosen
