"""`make bench-vectors`: pgvector beside hnswlib and an exact search, and a small tenant among a million of others.

A real PostgreSQL on this machine, through what the server itself uses. Vectors around a few hundred centres.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import numpy as np
import structlog
from rich.console import Console
from rich.table import Table

from controlplane.embedding.port import Vectors
from controlplane.memory.hosted import Change, Place
from controlplane.memory.pgvector import PgVectors
from controlplane.memory.vectors import VectorIndex

from .nearest import DIMENSION, QUERIES, K, clustered, recall
from .services import Postgres, running

SMALL, OTHERS = 50, 1_000_000
SIZES = (2_000, 5_000, 10_000, 20_000)
TOGETHER = 1_000
COPY = (
    "INSERT INTO vectors SELECT space, key + n * (SELECT count(*) FROM vectors), tenant, seq, vector"
    " FROM vectors, generate_series(1, {times}) AS n"
)
Search = Callable[[Vectors], Awaitable[list[int]]]


async def filled(server: PgVectors, tenant: str, vectors: Vectors) -> Place:
    """A tenant's vectors, under the ids 0, 1, 2..."""
    place = Place(tenant, "", "given")
    changes = [Change(place, key, 1, vector) for key, vector in enumerate(vectors)]
    for start in range(0, len(changes), TOGETHER):
        await server.write(changes[start : start + TOGETHER], 1)
    return place


async def searched(search: Search, vectors: Vectors, queries: Vectors) -> dict[str, float]:
    """Median milliseconds of a search, and the mean share of the ten nearest that it finds."""
    spent, shares = [], []
    for query in queries:
        begun = time.perf_counter()
        found = await search(query)
        spent.append((time.perf_counter() - begun) * 1e3)
        truth = sorted(np.vecdot(vectors, query).tolist(), reverse=True)[:K]
        shares.append(recall(list(enumerate(truth)), [(key, float(vectors[key] @ query)) for key in found]))
    return {"p50_ms": round(statistics.median(spent), 2), "recall_at_10": round(float(np.mean(shares)), 4)}


async def by_size(url: str) -> dict[str, Any]:
    """Each size read whole, and by its graph; and hnswlib's graph in this process."""
    rows, queries = {}, clustered(SIZES[-1] + QUERIES)[-QUERIES:]
    for size in SIZES:
        vectors = clustered(SIZES[-1])[:size]
        server = PgVectors(url, switch_point=size - 1)
        await server.begin(f"of {size}")
        place = await filled(server, "acme", vectors)

        async def hosted(query: Vectors, server: PgVectors = server, place: Place = place) -> list[int]:
            return [key for key, _ in await server.nearest(place, query, K)]

        whole = await searched(hosted, vectors, queries)
        begun = time.perf_counter()
        await server.build({place: size}, filled=True)
        built = round(time.perf_counter() - begun, 1)
        graph = await searched(hosted, vectors, queries)
        await server.close()
        row = {"whole": whole, "graph": graph, "graph_built_s": built}
        rows[str(size)] = {**row, "hnswlib": await within(vectors, queries)}
    return rows


async def within(vectors: Vectors, queries: Vectors) -> dict[str, float]:
    index = VectorIndex(DIMENSION, switch_point=1)
    for key, vector in enumerate(vectors):
        index.add(key, vector)
    await index.maintain()

    async def search(query: Vectors) -> list[int]:
        return [key for key, _ in await index.search(query, K)]

    return await searched(search, vectors, queries)


async def among_others(url: str) -> dict[str, Any]:
    """The small tenant's searches, alone and among the others' vectors."""
    server = PgVectors(url)
    await server.begin("among others")
    vectors, queries = clustered(SMALL + QUERIES)[:SMALL], clustered(SMALL + QUERIES)[SMALL:]
    place = await filled(server, "small", vectors)

    async def search(query: Vectors) -> list[int]:
        return [key for key, _ in await server.nearest(place, query, K)]

    alone = await searched(search, vectors, queries)
    await filled(server, "others", clustered(TOGETHER))
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("SELECT set_config('pointsman.tenant', 'others', true)")
        await connection.execute(COPY.format(times=OTHERS // TOGETHER - 1))
        others = await connection.fetchval("SELECT count(*) FROM vectors")
    await connection.close()
    among = await searched(search, vectors, queries)
    await server.close()
    return {"vectors": SMALL, "others": others, "alone": alone, "among_others": among}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vectors", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse_args().json
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with running(Postgres) as postgres:
        sizes = asyncio.run(by_size(postgres.database()))
        small = asyncio.run(among_others(postgres.database()))
        postgres.kill()
    if as_json:
        print(json.dumps({"sizes": sizes, "small": small}))
        return
    table = Table("vectors", "whole, ms", "graph, ms", "its recall@10", "built in s", "hnswlib, ms", "its recall@10")
    for size, row in sizes.items():
        graph, other = row["graph"], row["hnswlib"]
        figures = (row["whole"]["p50_ms"], *graph.values(), row["graph_built_s"], *other.values())
        table.add_row(size, *map(str, figures))
    Console().print(table)
    print(f"{small['vectors']} vectors alone: {small['alone']}; among {small['others']:,}: {small['among_others']}")


if __name__ == "__main__":
    main()
