"""Passages that filters narrow are found however many do not fit, and others have their turn meanwhile."""

import asyncio

import numpy as np

from auditor.passage_events import Document, Passage
from controlplane.memory.fusion import WIDEST
from controlplane.memory.passages import DocumentRecord, PassageSpace
from controlplane.memory.ranking import SHIPPED
from controlplane.memory.retrieval import TURN, Query, found
from controlplane.memory.vectors import VectorIndex

DOCUMENTS = 2 * WIDEST


async def test_a_filter_that_few_meet_is_met_among_thousands_and_others_have_their_turn() -> None:
    space = PassageSpace(lambda kind, dimension: VectorIndex(dimension))
    vectors = np.random.default_rng(7).normal(size=(DOCUMENTS, 8)).astype(np.float32)  # [N, D]
    for seq, vector in enumerate(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), 1):
        kept = Document(
            namespace="",
            origin="wiki",
            key=f"{seq}",
            kind="document",
            metadata={"team": "rare" if seq == DOCUMENTS else "many"},
            digest="",
            embedder="",
            passages=(Passage("a text"),),
        )
        record = DocumentRecord(seq, 0.0, kept, "")
        space.keep(record)
        space.index(record.ids[0], vector)
    query = Query(
        vector=-vectors[-1] / np.linalg.norm(vectors[-1]),
        text="",
        kind=None,
        origin=None,
        metadata={"team": "rare"},
        k=1,
        min_similarity=-1.0,
    )
    search, turns = asyncio.create_task(found(space, query, SHIPPED, lambda record: None)), 0
    while not search.done():
        await asyncio.sleep(0)
        turns += 1
    hits, filtered = await search
    assert [hit.record.seq for hit in hits] == [DOCUMENTS]
    assert filtered == {"team": DOCUMENTS - 1}
    assert turns > DOCUMENTS // TURN
