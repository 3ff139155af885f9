"""Memories that were planted: one that harms is found, no other is accused, through the plane and the fold."""

from auditor.rewards import DEFAULT_WEIGHTS
from benchmarks.learning.shipped import shipped
from benchmarks.worth import Played, World
from controlplane.embedding import BatchingEmbedder, HashingEmbedder
from controlplane.settings import Settings

LENGTH = 3200


async def test_withholding_finds_memories_that_harm_and_accuses_no_other(seed: int) -> None:
    """About 400 draws of each; `make bench-worth` plays the world of the page."""
    embedder = BatchingEmbedder()
    await embedder.load(HashingEmbedder)
    try:
        async with shipped(Settings(seed=seed), DEFAULT_WEIGHTS["gate"], embedder, "gate") as running:
            played = Played(World(seed, {"helps": 14, "inert": 0, "harms": 2}), running)
            await played.remember()
            await played.go_on(played.world.tries(LENGTH))
    finally:
        embedder.close()
    memories = played.world.memories
    assert sum(m.found_after is not None for m in memories if m.kind == "harms") >= 1
    assert [m for m in memories if m.falsely & {"harms", "helps"}] == []
