"""From the start of the process: until it answers, until it can route, until the model is loaded."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from .access import HEADERS, admit
from .servers import START_S, free_port

RUNS = 3
ROUTE = {"candidates": [{"provider": "akash", "sku": "A8"}, {"provider": "vast", "sku": "V4"}]}


def one_start() -> dict[str, float]:
    """Seconds until each of the three, with the shipped model and an empty data folder."""
    port, seen = free_port(), dict[str, float]()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        admit(Path(folder))
        begun = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "controlplane", "serve"],
            env={**os.environ, "POINTSMAN_PORT": str(port), "POINTSMAN_DATA_DIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS, timeout=10) as client:
                while "readyz_s" not in seen and time.perf_counter() - begun < START_S:
                    look(client, seen, begun)
                    time.sleep(0.02)
        finally:
            child.terminate()
            child.wait(timeout=30)
    return seen


def look(client: httpx.Client, seen: dict[str, float], begun: float) -> None:
    """Try what was not seen yet."""
    tries = {
        "livez_s": lambda: client.get("/livez"),
        "route_s": lambda: client.post("/v1/decisions", json=ROUTE),
        "readyz_s": lambda: client.get("/readyz"),
    }
    for name, ask in tries.items():
        if name not in seen:
            try:
                if ask().status_code == 200:
                    seen[name] = time.perf_counter() - begun
            except httpx.TransportError:
                return


def measure() -> dict[str, Any]:
    """Medians over a few starts; the first warms the disk cache and is not counted."""
    starts = [one_start() for _ in range(RUNS + 1)][1:]
    return {name: round(statistics.median(start[name] for start in starts), 2) for name in starts[0]}
