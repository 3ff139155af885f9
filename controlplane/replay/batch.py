"""Exported decisions as arrays, and the judged policy at each of the places where they stood."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Never

import msgspec
import numpy as np
from numpy.typing import NDArray

from strategist.evaluation import Part, Stood, Student, Tally, Target, tally
from strategist.evaluation.estimators import Floats
from strategist.evaluation.log import LARGEST, LEAST
from strategist.evaluation.reward_model import FOLDS, Indices

from ..errors import UnusableLog
from . import parquet
from .exported import TERM, Inputs, sight_of, situation_of
from .parquet import Coded, Column, Ragged

BASIC = ("situation", "action", "propensity", "probabilities")


def wanted(file: Path, target: Target) -> list[str]:
    """The columns that a judged policy needs of a file.

    Raises:
      UnusableLog: one is missing, or the file cannot be read.
    """
    there, _ = parquet.names_and_count(file)
    features = () if target.spec is None else ("inputs",)
    needed = [*BASIC, *features, *(("reward",) if target.weights is None else ())]
    if missing := set(needed) - set(there):
        raise UnusableLog(f"{file} has no column {min(missing)}; export it again")
    return [*needed, *(name for name in map(TERM.__add__, sorted(target.weights or ())) if name in there)]


class Batch(NamedTuple):
    """Some columns of consecutive decisions [N], and where the first of them stands in its file, from 0."""

    columns: dict[str, Column]
    file: Path
    begin: int

    @property
    def size(self) -> int:
        return len(self.numbers("propensity"))

    def cut(self, first: int, last: int) -> "Batch":
        """Those from `first` to `last`, that one excluded."""
        columns = {name: _cut(column, first, last) for name, column in self.columns.items()}
        return Batch(columns, self.file, self.begin + first)

    def numbers(self, name: str) -> Floats:
        column = self.columns[name]
        return column if isinstance(column, np.ndarray) else self._refuse(name, "numbers")

    def texts(self, name: str) -> Coded:
        column = self.columns[name]
        return column if isinstance(column, Coded) else self._refuse(name, "texts")

    def lists(self, name: str) -> Ragged:
        column = self.columns[name]
        return column if isinstance(column, Ragged) else self._refuse(name, "lists of numbers")

    def require(self, holds: NDArray[np.bool_], why: str) -> None:
        """Raises UnusableLog with the first row of which something does not hold."""
        if not holds.all():
            raise UnusableLog(f"{self.file}, row {self.begin + int(holds.argmin()) + 1}: {why}")

    def _refuse(self, name: str, kind: str) -> Never:
        raise UnusableLog(f"{self.file}: column {name} does not hold {kind}; export it again")


def _cut(column: Column, first: int, last: int) -> Column:
    if isinstance(column, Coded):
        return Coded(column.codes[first:last], column.texts)
    if isinstance(column, Ragged):
        offsets = column.offsets[first : last + 1]
        return Ragged(column.values[offsets[0] : offsets[-1]], offsets - offsets[0])
    return column[first:last]


class Sights:
    """Where decisions stood, each asked about once: what the judged policy would have done there."""

    def __init__(self, student: Student, target: Target) -> None:
        self._student, self._target = student, target
        self._known: dict[str, Stood] = {}

    def tally(self, batch: Batch, number: int) -> Tally:
        """Add decisions up, of which the first is that of this number of the valued ones.

        Raises:
          UnusableLog: one contradicts itself.
        """
        sights, stood = self._stood(batch)
        propensities, rewards = batch.numbers("propensity"), self._rewards(batch)
        batch.require((propensities >= LEAST) & (propensities <= 1.0), f"its propensity is not in [{LEAST}, 1]")
        batch.require(np.abs(rewards) <= LARGEST, "its reward is not known, or more than 2^53 in size")
        places = _places(batch, sights, list(stood.values()))
        sizes = np.array([len(each.actions) for each in stood.values()])[sights]
        part = Part(
            sights=sights,
            places=places,
            rewards=rewards,
            propensities=propensities,
            folds=(number + np.arange(batch.size)) % FOLDS,
            impossible=_impossible(batch, sizes, places),
        )
        return tally(stood, part)

    def _stood(self, batch: Batch) -> tuple[Indices, dict[str, Stood]]:
        """Where each decision [N] stood, by number, and what was there."""
        codes, names = batch.texts("situation")
        batch.require(codes >= 0, "it has no situation")
        inputs = [""]
        if self._target.spec is not None:
            read, inputs = batch.texts("inputs")
            codes = codes * len(inputs) + read
        met, sights = _met(codes)
        found = {}
        for code in met.tolist():
            situation, read_by = names[code // len(inputs)], inputs[code % len(inputs)]
            name = situation + read_by
            if name not in self._known:
                self._known[name] = self._asked(batch, situation, read_by)
            found[name] = self._known[name]
        return sights, found

    def _asked(self, batch: Batch, situation: str, inputs: str) -> Stood:
        try:
            read = msgspec.json.decode(inputs, type=Inputs) if inputs else Inputs()
            sight = sight_of(situation_of(situation), read)
        except msgspec.MsgspecError as error:
            raise UnusableLog(f"{batch.file}: a situation cannot be read: {error}") from error
        here = sight.situation
        return Stood(here.state.chains, here.actions, self._student.probabilities(sight))

    def _rewards(self, batch: Batch) -> Floats:
        if self._target.weights is None:
            return batch.numbers("reward")
        total: Floats = np.zeros(batch.size)
        for name, weight in sorted(self._target.weights.items()):
            if TERM + name in batch.columns:
                total += weight * np.nan_to_num(batch.numbers(TERM + name))
        return total


def _met(codes: Indices) -> tuple[Indices, Indices]:
    """Which codes there are, and for each decision [N] the place of its own among them."""
    if codes.max(initial=0) > 2 * len(codes):  # a table of all codes would be larger than the decisions
        met, places = np.unique(codes, return_inverse=True)
        return met, places
    seen = np.bincount(codes) > 0
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[codes]


def _places(batch: Batch, sights: Indices, stood: Sequence[Stood]) -> Indices:
    """Of the logged actions among the eligible ones [N]."""
    codes, names = batch.texts("action")
    numbers = {name: number for number, name in enumerate(names)}
    table = np.full((len(stood), len(names)), -1, np.intp)
    for row, each in enumerate(stood):
        for place, action in enumerate(each.actions):
            if (number := numbers.get(action)) is not None:
                table[row, number] = place
    batch.require(codes >= 0, "it has no action")
    places: Indices = table.reshape(-1)[sights * len(names) + codes]
    batch.require(places >= 0, "its action is not among the eligible ones")
    return places


def _impossible(batch: Batch, sizes: Indices, places: Indices) -> tuple[Indices, Indices]:
    """Decisions and places of the actions that the log could not take."""
    values, offsets = batch.lists("probabilities")
    given = np.diff(offsets)
    batch.require((given == sizes) | (given == 0), "it has not one probability for each eligible action")
    none = np.flatnonzero(values == 0.0)
    rows = np.searchsorted(offsets, none, "right") - 1
    sure = np.flatnonzero((given == 0) & (batch.numbers("propensity") == 1.0))
    others = np.repeat(sure, sizes[sure])
    at = np.arange(len(others)) - np.repeat(np.cumsum(sizes[sure]) - sizes[sure], sizes[sure])
    left = at != places[others]
    return np.concatenate((rows, others[left])), np.concatenate((none - offsets[rows], at[left]))
