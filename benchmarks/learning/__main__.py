"""`make bench-learning`: what the shipped settings learn, task by task, as a table or as JSON."""

import argparse
import asyncio
import json
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from .school import guesses, learns
from .worlds import WORLDS, World

SEED, ORDERS = 20_261_126, 10


def played(world: type[World], orders: int) -> dict[str, Any]:
    """Mean and standard deviation of a world's score over so many seeds, and of what guessing scores there."""
    seeds = range(SEED, SEED + orders)
    ours = _spread([asyncio.run(learns(world, seed)) for seed in seeds])
    guess = _spread([asyncio.run(guesses(world, seed)) for seed in seeds])
    return {"ours": ours, "guess": guess, "threshold": world.threshold, "reached": ours[0] >= world.threshold}


def _spread(scores: Sequence[float]) -> tuple[float, float]:
    return round(statistics.fmean(scores), 4), round(statistics.stdev(scores), 4)


TASKS: dict[str, Callable[[int], dict[str, Any]]] = {name: partial(played, world) for name, world in WORLDS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--task", choices=TASKS, action="append", help="one of them, or several; by default all")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"random orders, at least 2 (default {ORDERS})")
    parser.add_argument("--json", action="store_true", help="print JSON, one document a task")
    arguments = parser.parse_args()
    table = Table("task", "ours (mean, sd)", "guessing", "threshold", "reached")
    for name in arguments.task or TASKS:
        found = {"task": name, "orders": arguments.orders, **TASKS[name](arguments.orders)}
        if arguments.json:
            print(json.dumps(found))
        else:
            table.add_row(name, *(str(found[field]) for field in ("ours", "guess", "threshold", "reached")))
    if not arguments.json:
        Console().print(table)


if __name__ == "__main__":
    main()
