"""`make bench-scale`: what one journal bears, and a model of up to 1,000 replicas with 10,000 tenants.

First everything that the model counts with is measured on this machine; then the model is held beside two real
replicas; then it plays what nobody has here.
"""

import argparse
import asyncio
import json
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from ..services import Postgres, running
from . import calibration, checking, database, serving
from .costs import Costs, Prices
from .deployments import DEPLOYMENTS, bearing, busier, cheapest
from .population import EXPONENT, TENANTS

SEED = 1


async def measured(seed: int) -> tuple[dict[str, Any], Costs]:
    """Everything that is measured, and what the model counts with."""
    with running(Postgres) as server:
        of_replicas, events = await serving.measure(server)
        of_database = await database.measure(server, events)
        costs = calibration.costs_of(of_replicas, of_database)
        checked = await checking.measure(server, costs, of_database["stretch"], seed)
    found = {"replicas": of_replicas, "database": of_database, "published": calibration.published()}
    return {**found, "index": calibration.indexed(), "checked": checked}, costs


def modelled(costs: Costs, seed: int) -> dict[str, Any]:
    """What each deployment bears, and for each rate the smallest that bears it."""
    prices = Prices()
    return {
        "prices": msgspec.to_builtins(prices),
        "bears": [bearing(costs, prices, deployment, seed) for deployment in DEPLOYMENTS],
        "busier": busier(costs, prices, seed),
        "cheapest": cheapest(costs, prices, seed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    found, costs = asyncio.run(measured(arguments.seed))
    model = modelled(costs, arguments.seed)
    if arguments.json:
        print(json.dumps({**found, "costs": msgspec.to_builtins(costs), **model}, indent=2))
        return
    _print("Measured here: median (middle half)", ["what", "takes"], _measured(found))
    _print("What the model counts with", ["what", "value"], list(msgspec.to_builtins(costs).items()))
    _print("The model beside two replicas: measured / predicted", *_checked(found["checked"]))
    _print(f"Assumed prices ({TENANTS:,} tenants, Zipf {EXPONENT})", ["what", "value"], list(model["prices"].items()))
    for title, rows in (
        ("What a deployment bears", model["bears"]),
        ("One journal, busier and busier", model["busier"]),
        ("The cheapest that bears a rate", model["cheapest"]),
    ):
        columns = max((list(row) for row in rows), key=len)
        _print(title, columns, [[row.get(name, "") for name in columns] for row in rows])


def _measured(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Everything with its spread, in the words of the JSON."""
    rows = []

    def walk(name: str, value: Any) -> None:
        if not isinstance(value, dict):
            rows.append((name, _told(value)))
        elif "median" in value:
            rows.append((name, f"{_told(value['median'])} ({_told(value['from'])} to {_told(value['to'])})"))
        else:
            for key, inner in value.items():
                walk(f"{name} {key}".strip(), inner)

    walk("", {name: value for name, value in found.items() if name != "checked"})
    return rows


def _checked(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    told = [
        [" / ".join(map(_told, value.values())) if isinstance(value, dict) else value for value in row.values()]
        for row in rows
    ]
    return list(rows[0]), told


def _print(title: str, columns: list[str], rows: list[Any]) -> None:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_told(cell) for cell in row))
    Console(width=160).print(table)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


if __name__ == "__main__":
    main()
