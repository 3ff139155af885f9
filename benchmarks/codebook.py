"""Learn the text codebook: k-means over the embeddings of many texts, none of them labelled, at three sizes.

    python -m benchmarks.codebook CORPUS NAME

CORPUS has a text a line. `codebook-1` was learnt from 12,000 glosses of WordNet 3.0 ("words: gloss", of every part of
speech) and the one-line descriptions of 6,000 Debian packages, so that it knows words of every trade and those of
software. The result is shipped and frozen: another one gets another name, which makes another feature spec.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.progress import track
from sklearn.cluster import KMeans

from controlplane import executor
from controlplane.embedding import SentenceEmbedder

SIZES, SEED, BATCH = (16, 64, 256), 2002, 128


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codebook", description=__doc__)
    parser.add_argument("corpus", type=Path, help="a file with a text a line")
    parser.add_argument("name", help="what a feature spec calls the codebook")
    arguments = parser.parse_args()
    texts = sorted(set(arguments.corpus.read_text("utf-8").splitlines()) - {""}, key=len)
    model = SentenceEmbedder()
    starts = range(0, len(texts), BATCH)
    vectors = np.concatenate([model.embed(texts[start : start + BATCH]) for start in track(starts, "embedding")])
    levels = {"embedder": np.array(model.name)}
    for size in SIZES:
        centres = KMeans(size, random_state=SEED, n_init=3, max_iter=100).fit(vectors).cluster_centers_
        levels[str(size)] = (centres / np.linalg.norm(centres, axis=1, keepdims=True)).astype(np.float16)
    file = Path(str(executor.__file__)).with_name(f"{arguments.name}.npz")
    np.savez_compressed(file, **levels)
    print(f"{file.name}: {len(texts)} texts, {', '.join(map(str, SIZES))} centroids, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
