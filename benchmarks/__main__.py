"""`make bench`: every figure of the README in one run, as a table or as JSON."""

import argparse
import json
import os
import platform
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import (
    chat,
    gate,
    hook,
    nearest,
    neighbours,
    overload,
    reflector,
    secrecy,
    serving,
    soak,
    startup,
    storage,
    strategist,
)

PARTS = {
    "serving": serving.measure,
    "gate": gate.measure,
    "chat": chat.measure,
    "hook": hook.measure,
    "strategist": strategist.measure,
    "startup": startup.measure,
    "storage": storage.measure,
    "secrecy": secrecy.measure,
    "nearest": nearest.measure,
    "overload": overload.measure,
    "neighbours": neighbours.measure,
}
LONG = {"soak": soak.measure}  # only by name: twenty minutes
READING = {"nearest": nearest.measure, "reflector": reflector.measure}  # parts that measure more where there is --data


def flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    """(dotted name, figure) of everything in a nested result."""
    if isinstance(value, dict):
        return [row for key, inner in value.items() for row in flat(f"{prefix}.{key}" if prefix else key, inner)]
    return [(prefix, value)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--data", type=Path, help="the folder of real data sets: for reflector, and more of nearest")
    known = f"some of {', '.join(PARTS)}, nearest; reflector and {', '.join(LONG)} only by name"
    parser.add_argument("parts", nargs="*", default=[*PARTS, "nearest"], help=known)
    arguments = parser.parse_args()
    parts = {**PARTS, **LONG, **{name: partial(measure, arguments.data) for name, measure in READING.items()}}
    found: dict[str, Any] = {"machine": {"cores": os.cpu_count(), "python": platform.python_version()}}
    for name in arguments.parts:
        Console(stderr=True).print(f"measuring {name} ...")
        found[name] = parts[name]()
    if arguments.json:
        print(json.dumps(found, indent=2))
        return
    table = Table("figure", "value")
    for name, value in flat("", found):
        table.add_row(name, str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
