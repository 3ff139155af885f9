"""A grid of weights as a file, and the front of what they buy."""

import itertools
from math import prod
from pathlib import Path

import msgspec

from strategist.evaluation import Front, Target, pareto

from ..documents import read_document
from ..errors import UnusableLog, UnusablePolicy
from .log import Log, Progress
from .policy_file import Reward
from .run import LEAST, SEED

MOST = 200  # policies that one grid may hold


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """weights: for each term of the reward, those that are to be tried; all combinations are."""

    weights: dict[str, list[Reward]]

    def combinations(self) -> list[dict[str, float]]:
        names = sorted(self.weights)
        return [dict(zip(names, each, strict=True)) for each in itertools.product(*(self.weights[n] for n in names))]


def read_grid(file: Path) -> list[dict[str, float]]:
    """The weights of a grid's file, TOML or JSON.

    Raises:
      UnusablePolicy: it cannot be read, is no grid, or holds none or too many policies.
    """
    try:
        grid = msgspec.convert(read_document(file), Grid)
    except msgspec.ValidationError as error:
        raise UnusablePolicy(f"{file.name} is no grid of weights: {error}") from error
    count = prod(map(len, grid.weights.values()))  # before they are made: a short file can hold more than fit anywhere
    if not 1 < count <= MOST:
        raise UnusablePolicy(f"{file.name} holds {count} combination(s) of weights; give 2 to {MOST}")
    return grid.combinations()


def front(log: Log, target: Target, grid: list[dict[str, float]], progress: Progress) -> Front:
    """What the policies of a grid buy, beside the one in force.

    Raises:
      UnusableLog: there are too few decisions, no terms to weigh, or nothing to compare by.
    """
    log.require(LEAST, "a grid")
    known = {term for decision in log.decisions for term in decision.terms}
    if unknown := sorted({name for weights in grid for name in weights} - known):
        there = ", ".join(sorted(known)) or "none"
        raise UnusableLog(f"no decision of the log has the term {unknown[0]}; there are {there}")
    found = pareto(log.decisions, target, grid, target.weights or log.weights, SEED, progress)
    if not found.objectives:
        raise UnusableLog("the log tells neither success, cost_usd nor latency_ms, so there is nothing to compare by")
    return found
