"""`make bench-learning`: what the shipped settings learn, task by task, as a table or as JSON."""

import argparse
import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import gates, gating, real
from .figures import spread
from .school import guesses, learns
from .worlds import WORLDS, World

SEED, ORDERS = 20_261_126, 10


def played(world: type[World], orders: int) -> dict[str, Any]:
    """Mean and standard deviation of a world's score over so many seeds, and of what guessing scores there."""
    seeds = range(SEED, SEED + orders)
    ours = spread([asyncio.run(learns(world, seed)) for seed in seeds])
    guess = spread([asyncio.run(guesses(world, seed)) for seed in seeds])
    return {
        "orders": orders,
        "ours": ours,
        "guess": guess,
        "threshold": world.threshold,
        "reached": ours[0] >= world.threshold,
    }


TASKS: dict[str, Callable[[int], dict[str, Any]]] = {name: partial(played, world) for name, world in WORLDS.items()}
PLAYS: dict[str, Callable[[Path, str, int], dict[str, Any]]] = {
    **dict.fromkeys(real.NAMES, real.play),
    **dict.fromkeys(gating.TASKS, gates.play),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of real data sets; without it only the worlds are played")
    names = [*TASKS, *PLAYS]
    parser.add_argument("--task", choices=names, action="append", help="one of them, or several; by default all")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"random orders, at least 2 (default {ORDERS})")
    parser.add_argument("--sweep", action="store_true", help="routing tasks under every exploration and estimates")
    parser.add_argument("--json", action="store_true", help="print JSON, one document a task")
    arguments = parser.parse_args()
    if arguments.data is None and (arguments.sweep or any(name in PLAYS for name in arguments.task or ())):
        parser.error("this is played on real data: give --data DIR")
    if arguments.sweep:
        for name in arguments.task or real.TASKS:
            print(json.dumps({"task": name, **real.sweep(arguments.data, name, arguments.orders)}), flush=True)
        return
    table = Table("task", "ours", "others", "reached")
    for name in arguments.task or ([*TASKS] if arguments.data is None else names):
        task = TASKS[name] if name in TASKS else partial(PLAYS[name], arguments.data, name)
        found = {"task": name, **task(arguments.orders)}
        if arguments.json:
            print(json.dumps(found), flush=True)
        else:
            others = {"guess": found.get("guess"), "threshold": found.get("threshold"), **found.get("peers", {})}
            shown = "; ".join(f"{who} {what}" for who, what in others.items() if what is not None)
            table.add_row(name, str(found["ours"]), shown, str(found.get("reached", "")))
    if not arguments.json:
        Console().print(table)


if __name__ == "__main__":
    main()
