"""A drawn log as exported files: four groups of so many days, of a policy that changes daily and explores ever less."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.progress import track

from controlplane.replay import parquet
from controlplane.replay.exported import KINDS, Inputs, place
from strategist import Situation, State

GROUPS = [(tenant, point) for tenant in ("acme", "bolt") for point in ("gate", "route")]
ROWS = 200_000  # decisions of a file, at most, as the export writes them
PLACES, ACTIONS = 1_000, ("a", "b", "c", "d")  # where decisions stand, and what can be done there
Floats = NDArray[np.float64]


def situations() -> list[str]:
    """Texts of situations, of three tilings of three levels."""
    names = [(number % 10, number // 10 % 10, number // 100) for number in range(PLACES)]
    chains = [
        tuple((f"t{at}", f"t{at}/{name[at]}", f"t{at}/{name[at]}/{name[at - 1]}/{name[at - 2]}") for at in range(3))
        for name in names
    ]
    return [msgspec.json.encode(Situation(State(each), ACTIONS)).decode() for each in chains]


def write(folder: Path, count: int, seed: int) -> int:
    """Draw a log and write it; its size in bytes."""
    rng, texts = np.random.default_rng(seed), situations()
    worth = rng.random((PLACES, len(ACTIONS)))
    files = max(1, -(-count // (ROWS * len(GROUPS))))
    each = count // (files * len(GROUPS))
    size = 0
    for number in track(range(files * len(GROUPS)), description="drawing", transient=True):
        key, day = GROUPS[number % len(GROUPS)], number // len(GROUPS)
        at = folder / place(*key, f"{2000 + day // 360:04}-{day // 30 % 12 + 1:02}-{day % 30 + 1:02}", 0)
        at.parent.mkdir(parents=True)
        at.write_bytes(_part(rng, texts, worth, each, day * each))
        size += at.stat().st_size
    return size


def _part(rng: np.random.Generator, texts: list[str], worth: Floats, count: int, begin: int) -> bytes:
    """Decisions of a policy that prefers, in each place, what looked best to it that day, and explores ever less."""
    liked = (worth + rng.normal(0.0, 0.3, worth.shape)).argmax(axis=1)
    where = rng.integers(0, PLACES, count)
    exploring = np.sort(rng.uniform(0.3, 0.5, count))[::-1]
    chances = np.repeat(exploring[:, np.newaxis] / len(ACTIONS), len(ACTIONS), axis=1)
    chances[np.arange(count), liked[where]] += 1.0 - exploring
    actions = (np.cumsum(chances, axis=1)[:, :-1] < rng.random((count, 1))).sum(axis=1)
    success = rng.random(count) < worth[where, actions]
    coded = {"situation": (where, texts), "action": (actions, ACTIONS)}
    coded["inputs"] = np.zeros(count, np.int32), [msgspec.json.encode(Inputs()).decode()]
    columns = {name: _coded(*of) for name, of in coded.items()}
    columns |= {
        "row": pa.array(np.arange(begin, begin + count)),
        "propensity": pa.array(chances[np.arange(count), actions]),
        "probabilities": pa.ListArray.from_arrays(
            np.arange(0, (count + 1) * len(ACTIONS), len(ACTIONS), dtype=np.int32), chances.reshape(-1)
        ),
        "reward": pa.array(success.astype(np.float64)),
        "success": pa.array(success),
        "explored": pa.array(actions != liked[where]),
        "truncated": pa.array(np.zeros(count, bool)),
        "masked": pa.ListArray.from_arrays(np.zeros(count + 1, np.int32), pa.array([], pa.string())),
    }
    return parquet.encoded(KINDS, {name: columns.get(name, pa.nulls(count)) for name in KINDS})


def _coded(codes: NDArray[Any], texts: Sequence[str]) -> Any:
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(texts, pa.string()))
