"""A large replay: a drawn log of so many decisions as exported files, through every engine, with time and memory.

Two policies: a `frozen` one, of which estimates alone are made, and a `learning` one, which is taught decision by
decision first. The peer is the Open Bandit Pipeline (PyPI `obp`) on the same files and the same probabilities.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .drawn import write
from .journalled import journalled
from .play import TARGETS, peer, played

ENGINES = ("local", "process", "ray")
MILLION = 1_000_000
PEER_MOST = 20 * MILLION  # decisions, of which the peer holds a quarter in memory at once


def _apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """In a process of its own, whose memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def measure(decisions: int, engines: list[str], policies: list[str], seed: int) -> dict[str, Any]:
    """Everything, on a log that goes away again.

    Raises:
      AssertionError: two engines gave different reports.
    """
    with tempfile.TemporaryDirectory() as folder:
        size = write(Path(folder), decisions, seed)
        runs = [_apart(played, Path(folder), policy, engine) for policy in policies for engine in engines]
        beside = _apart(peer, Path(folder)) if decisions <= PEER_MOST else None
    for policy in policies:
        assert len({run["report"] for run in runs if run["policy"] == policy}) == 1, "engines gave different reports"
    return {"decisions": decisions, "bytes_per_decision": round(size / decisions, 1), "runs": runs, "obp": beside}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__)
    parser.add_argument("--decisions", type=int, default=MILLION, help="of the drawn log; a fifth is learnt from first")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="by default every one")
    parser.add_argument("--policy", action="append", choices=list(TARGETS), help="by default both")
    parser.add_argument("--journal", action="store_true", help="export and replay a journal of a real server, too")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    drawn = measure(given.decisions, given.engine or list(ENGINES), given.policy or list(TARGETS), given.seed)
    found = drawn | ({"journal": journalled()} if given.journal else {})
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
