"""The shipped embedder beside its 8-bit form: speed, memory, load time, and whether they find the same neighbours.

    make bench-embedding ARGS="--data DIR"

Each runs in a process of its own, on one core. The texts are paragraphs of these docs, or with --data what an agent
at work on databases asked and sent. `codes` is the share of texts whose text code is the original's, coarse to fine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from controlplane.checkpoints import write_atomically
from controlplane.embedding import Embedder, QuantizedEmbedder, SentenceEmbedder
from controlplane.embedding.port import Vectors
from controlplane.embedding.sentence import SHIPPED_NAME
from controlplane.executor.point import Features

from .nearest import sql_texts

ORIGINAL, INT8 = "minilm", "minilm-int8"
BATCH, ALONE, K = 64, 300, 10
DOCS = Path(__file__).parent.parent / "docs"


def texts_of(data: Path | None) -> list[str]:
    if data is not None:
        return sql_texts(data)
    paragraphs = {part for page in sorted(DOCS.glob("*.md")) for part in page.read_text("utf-8").split("\n\n")}
    return Random(1).sample(sorted(paragraphs), len(paragraphs))


def resident_mb() -> float:
    """Memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return round(pages * 4096 / 1e6, 1)


def made(name: str, folder: Path) -> Embedder:
    return QuantizedEmbedder(folder / "embedder", write_atomically) if name == INT8 else SentenceEmbedder()


def play(name: str, folder: Path, texts: list[str]) -> tuple[dict[str, float], Vectors]:
    """Figures of one embedder, and its vectors [N, D]."""
    begun = time.perf_counter()
    embedder = made(name, folder)
    load_s, loaded_mb, times = time.perf_counter() - begun, resident_mb(), []
    for text in texts[:ALONE]:
        begun = time.perf_counter()
        embedder.embed([text])
        times.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    vectors = np.concatenate([embedder.embed(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)])
    figures = {
        "load_s": round(load_s, 2),
        "loaded_mb": loaded_mb,
        "alone_ms_p50": round(statistics.median(times) * 1e3, 2),
        "alone_ms_p99": round(statistics.quantiles(times, n=100)[98] * 1e3, 2),
        "texts_per_s": round(len(texts) / (time.perf_counter() - begun), 1),
        "worked_mb": resident_mb(),
    }
    return figures, vectors


def nearest(vectors: Vectors) -> list[set[int]]:
    """The K nearest others of each text."""
    found = []
    for place, vector in enumerate(vectors):
        similarity = vectors @ vector
        similarity[place] = -1.0
        found.append(set(np.argpartition(-similarity, K)[:K].tolist()))
    return found


def beside(original: Vectors, other: Vectors) -> dict[str, Any]:
    """How far the other's vectors [N, D] are from the original's, and what that changes."""
    cosines = np.vecdot(original, other)
    features = Features("route.toml")
    codes = [
        [one == two for one, two in zip(features.codes(a, SHIPPED_NAME), features.codes(b, SHIPPED_NAME), strict=True)]
        for a, b in zip(original, other, strict=True)
    ]
    shared = [len(one & two) / K for one, two in zip(nearest(original), nearest(other), strict=True)]
    return {
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_min": round(float(cosines.min()), 4),
        f"recall_at_{K}": round(statistics.mean(shared), 4),
        "same_first": round(float(np.mean(_firsts(original) == _firsts(other))), 4),
        "codes": np.mean(codes, axis=0).round(4).tolist(),
    }


def _firsts(vectors: Vectors) -> Any:
    """The nearest other of each text [N]."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1.0)
    return similarity.argmax(axis=1)


def apart(name: str, folder: Path, data: Path | None) -> tuple[dict[str, float], Vectors]:
    """`play` in a process of its own, so that each has its own memory."""
    command = [sys.executable, "-m", "benchmarks.embedding", "--play", name, "--folder", str(folder)]
    command += [] if data is None else ["--data", str(data)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout), np.load(folder / f"{name}.npy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-embedding")
    parser.add_argument("--data", type=Path, help="the folder of recorded tasks")
    parser.add_argument("--play", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.play:
        figures, vectors = play(asked.play, asked.folder, texts_of(asked.data))
        np.save(asked.folder / f"{asked.play}.npy", vectors)
        print(json.dumps(figures))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        begun = time.perf_counter()
        QuantizedEmbedder(folder / "embedder", write_atomically)
        exported_s = round(time.perf_counter() - begun, 1)
        original, small = (apart(name, folder, asked.data) for name in (ORIGINAL, INT8))
        found = {ORIGINAL: original[0], INT8: small[0], "beside": beside(original[1], small[1])}
        print(json.dumps({"texts": len(original[1]), "export_s": exported_s, **found}, indent=2))


if __name__ == "__main__":
    main()
