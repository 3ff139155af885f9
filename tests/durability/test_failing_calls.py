"""Any one system call fails: the error is one of ours, nothing is half done, and the next try works.

The product runs as it is shipped, with faults.c loaded before the C library.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMPILER = os.environ.get("CXX", "c++")  # which the installation needs, too
NIGHTLY = [pytest.param(fault, 1, marks=pytest.mark.nightly) for fault in ("EIO", "half a write", "ENOSPC")]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which(COMPILER):
        pytest.fail(f"{COMPILER} is missing: the fault library is compiled for this test")
    made = tmp_path_factory.mktemp("faults") / "faults.so"
    source = str(Path(__file__).with_name("faults.c"))
    subprocess.run([COMPILER, "-x", "c", "-shared", "-fPIC", "-O1", source, "-o", str(made), "-ldl"], check=True)
    return made


def failing(library: Path, errand: str, fault: str, stride: int, folder: Path) -> dict[str, Any]:
    """Do the errand once for each system call in turn, or each so-and-so-many-th; what failed and what was refused."""
    folder.mkdir()
    command = [sys.executable, "-m", "tests.durability.faulty_errands", errand, fault, str(stride), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "LD_PRELOAD": str(library)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{errand}, {fault}, every {stride}. of {found['calls']} calls: {found['failed']}; {found['refused']}")
    return found


@pytest.mark.parametrize(("fault", "stride"), [("half a write", 200), *NIGHTLY])
def test_a_journal_call_that_fails_is_refused_whole_and_the_next_try_works(
    fault: str, stride: int, library: Path, folder: Path
) -> None:
    found = failing(library, "journal", fault, stride, folder)
    assert sum(found["failed"].values()) >= found["calls"] // stride
    assert sum(found["refused"].values()) > 0


@pytest.mark.parametrize(("fault", "stride"), [("EIO", 17), *NIGHTLY])
def test_a_file_that_cannot_be_written_leaves_what_was_there_and_the_next_try_works(
    fault: str, stride: int, library: Path, folder: Path
) -> None:
    found = failing(library, "files", fault, stride, folder)
    assert sum(found["failed"].values()) >= found["calls"] // stride
    assert sum(found["refused"].values()) > 0
