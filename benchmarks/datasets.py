"""Real tasks whose outcome is known for every action: what each action was worth, and what may be looked at before it.

The folder of `--data` is not part of the project. Fields that its READMEs mark as labels or analysis are never read as
features, and ids are not either.
"""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WEIGHT = 0.1  # of cost in every utility
BFCL_MEAN, INTERCODE_MEAN = 0.002223, 0.029236  # USD: mean cost of claude-3-5-sonnet, of gpt4_10turn
STRONG = 24.7 / 0.24  # price of the strong model in units of the weak one's
BFCL_ARMS = (
    "claude-3-haiku-20240307",
    "claude-3-5-sonnet-20240620",
    "gpt-3.5-turbo-0125",
    "gpt-4o-mini-2024-07-18",
    "open-mixtral-8x22b",
    "claude-3-sonnet-20240229",
    "gpt-4-turbo-2024-04-09",
    "claude-3-opus-20240229",
)
INTERCODE_ARMS = (
    "gpt35_1turn",
    "gpt35_1turn_hint",
    "gpt35_10turn",
    "gpt35_10turn_hint",
    "gpt35_react",
    "gpt4_1turn",
    "gpt4_10turn",
)


class Choice(NamedTuple):
    """A stream of decisions. texts and groups [N] may be looked at; utilities, successes [N, A] are what came of it."""

    name: str
    arms: tuple[str, ...]
    texts: list[str]
    groups: list[str]
    utilities: NDArray[np.float64]
    successes: NDArray[np.float64]
    costs: NDArray[np.float64]

    def numbered(self) -> NDArray[np.intp]:
        """Groups as numbers from 0."""
        return np.unique(self.groups, return_inverse=True)[1]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def routellm(data: Path) -> Choice:
    """MMLU questions, a weak and a strong model; groups are subjects."""
    found = [row for row in rows(data / "routellm" / "mmlu.jsonl.gz") if not row["contaminated"]]
    successes = np.array([[row["weak_correct"], row["strong_correct"]] for row in found], float)
    costs = np.tile([1.0 / STRONG, 1.0], (len(found), 1))
    texts, groups = [row["prompt"] for row in found], [row["domain"] for row in found]
    return Choice("routellm", ("weak", "strong"), texts, groups, successes - WEIGHT * costs, successes, costs)


def bfcl(data: Path, arms: tuple[str, ...] = BFCL_ARMS) -> Choice:
    """Questions with tools, models that call one; groups are the number of tools and the question's length."""
    asked = rows(data / "bfcl" / "questions.jsonl.gz")
    texts = [json.dumps([row["question"], row["tools"]], ensure_ascii=False) for row in asked]
    groups = [f"{min(row['n_tools'], 4)}/{len(row['question']).bit_length()}" for row in asked]
    outcomes = {(row["id"], row["model"]): row for row in rows(data / "bfcl" / "outcomes.jsonl.gz")}
    return _of("bfcl", arms, texts, groups, [row["id"] for row in asked], outcomes, ("ok", "cost_usd"), BFCL_MEAN)


def intercode(data: Path) -> Choice:
    """Questions to databases; groups are the databases."""
    tasks = rows(data / "intercode" / "sql_tasks.jsonl.gz")
    outcomes = {(row["task"], row["arm"]): row for row in rows(data / "intercode" / "sql_outcomes.jsonl.gz")}
    texts, groups = [f"{row['db']} {row['goal']}" for row in tasks], [row["db"] for row in tasks]
    names, fields = [row["task"] for row in tasks], ("success", "cost_usd_est")
    return _of("intercode", INTERCODE_ARMS, texts, groups, names, outcomes, fields, INTERCODE_MEAN)


def _of(
    name: str,
    arms: tuple[str, ...],
    texts: list[str],
    groups: list[str],
    names: Iterable[str],
    outcomes: dict[tuple[str, str], dict[str, Any]],
    fields: tuple[str, str],
    unit: float,
) -> Choice:
    success, cost = fields
    found = [[outcomes[task, arm] for arm in arms] for task in names]
    successes = np.array([[row[success] for row in each] for each in found], float)
    costs = np.array([[row[cost] for row in each] for each in found], float) / unit
    return Choice(name, arms, texts, groups, successes - WEIGHT * costs, successes, costs)
