"""A bit that flips anywhere in a journal is noticed, or changes nothing that is read.

SQLite has checksums over its log only. The journal's rows carry their own; what no row can say, that an index no
longer leads to it, a look through the whole journal finds (`pointsman doctor`, `backup`).
"""

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from auditor.events import Recorded
from controlplane.errors import PointsmanError
from controlplane.journal import SqliteJournal, connect
from controlplane.journal.soundness import look_through

from .golden_journals import unpacked

EVENTS, EVERYTHING = 60, 2**60
Read = dict[tuple[str, ...], Any]


@pytest.fixture
async def sound(tmp_path: Path) -> Path:
    """A journal of today's schema with the first events of a golden one, and records."""
    golden = await SqliteJournal.open(connect(unpacked("schema-3", tmp_path / "golden.db")))
    made = await SqliteJournal.open(connect(tmp_path / "sound.db"))
    await made.append(*(recorded.event for recorded in await golden.read(0, EVENTS)))
    for tenant, record in [pair async for pair in golden.all_learned(EVERYTHING)][:EVENTS]:
        made.record(tenant, [record])
    await made.flush()
    for journal in (golden, made):
        await journal.close()
    return tmp_path / "sound.db"


async def everything(file: Path, events: list[Recorded]) -> Read:
    """The answer to every question that is asked of a journal with these events."""
    journal = await SqliteJournal.open(connect(file))
    try:
        answers: Read = {("log",): await journal.read(0, EVERYTHING)}
        answers["memory",] = await journal.read_memory(0, EVERYTHING)
        answers["access",] = await journal.read_access(0, EVERYTHING)
        answers["records",] = [pair async for pair in journal.all_learned(EVERYTHING)]
        for tenant, ref, kind in {(r.event.tenant, r.event.ref, r.event.kind) for r in events}:
            answers["about", tenant, ref, kind] = await journal.about(tenant, ref, kind)
            answers["record", tenant, ref] = await journal.learned(tenant, ref)
            answers["checkpoints", tenant] = await journal.checkpoints(tenant)
        return answers
    finally:
        await journal.close()


def whole(file: Path) -> bool:
    """Whether a look through the whole journal finds nothing."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            look_through(database)
    except (PointsmanError, sqlite3.Error):
        return False
    return True


@pytest.mark.parametrize("flips", [100, pytest.param(1_000, marks=pytest.mark.nightly)])
async def test_a_flipped_bit_is_noticed_or_changes_nothing_that_is_read(
    flips: int, seed: int, sound: Path, folder: Path
) -> None:
    rng, content, outcomes = random.Random(seed), Path.read_bytes(sound), Counter[str]()
    true = await everything(sound, [])
    true = await everything(sound, true["log",])
    Path.mkdir(folder)
    for number in range(flips):
        at, bit = rng.randrange(len(content)), rng.randrange(8)
        harmed = bytearray(content)
        harmed[at] ^= 1 << bit
        file = folder / f"{number}.db"
        Path.write_bytes(file, harmed)
        found_whole = whole(file)
        try:
            answers = await everything(file, true["log",])
        except PointsmanError as error:
            outcomes[type(error).__name__] += 1
            continue
        wrong = {question: answer for question, answer in answers.items() if answer != true[question]}
        outcomes["missing from an index" if wrong else "not read"] += 1
        for question, answer in wrong.items():
            assert not found_whole, f"bit {bit} of byte {at}: {question} is silently {answer}"
            assert question != ("log",), f"bit {bit} of byte {at}: the log reads as {answer}"
            assert not answer or all(part in true[question] for part in answer), f"{question} has what is not there"
    print(f"{flips} flips of {len(content):,} bytes: {dict(outcomes)}")
    assert outcomes["JournalDamaged"] > flips / 5, "most of the rest fall where nothing is kept"
