"""Real routing tasks as `route` decisions: questions whose outcome is known for every candidate.

Reward weights make the reward the utility of the data's README, but for a constant: half of success (which is 1 or -1)
and so much of the cost.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from auditor import Outcome
from controlplane.contract import Candidate, DecisionRequest

from .. import datasets
from ..datasets import BFCL_ARMS, BFCL_MEAN, INTERCODE_MEAN, WEIGHT, Choice

AROUND_TOKENS, ANSWER_TOKENS = 330, 45  # of the caller's own instructions around a question; of a tool call
PER_TOKEN = 4.0  # characters
MILLION = 1e6


class Routing(NamedTuple):
    """A task: what is asked of each item, what each candidate would be worth, and the text peers may read."""

    name: str
    weights: dict[str, float]
    requests: list[DecisionRequest]
    actions: tuple[str, ...]  # of the candidates, in the order of the columns
    utilities: NDArray[np.float64]  # [N, A]
    outcomes: Callable[[int, int], Outcome]
    facts: list[dict[str, Any]]  # of each item's context, which peers read too
    texts: list[str]
    prices: NDArray[np.float64] | None  # of each candidate [N, A], in units of the utility, where they are known

    def swapped(self) -> "Routing":
        """The same with the outcomes of its two candidates exchanged."""

        def outcome(item: int, arm: int) -> Outcome:
            return self.outcomes(item, 1 - arm)

        return self._replace(utilities=self.utilities[:, ::-1], outcomes=outcome)


def routellm(data: Path, *, domain: bool) -> Routing:
    """MMLU questions to a weak or a strong model; costs are price ratios, known beforehand."""
    choice = datasets.routellm(data)
    costs = choice.costs[0]
    candidates = tuple(
        Candidate(provider="mmlu", sku=arm, expected_cost=float(cost))
        for arm, cost in zip(choice.arms, costs, strict=True)
    )
    contexts = [{"domain": group} if domain else {} for group in choice.groups]
    name = "routellm-domain" if domain else "routellm-text"
    return _routing(name, choice, 1.0, choice.texts, contexts, [candidates] * len(choice.texts))


def bfcl(data: Path, arms: tuple[str, ...] = BFCL_ARMS) -> Routing:
    """Questions with tools; prices are known, lengths of answers are not."""
    choice = datasets.bfcl(data, arms)
    asked = datasets.rows(data / "bfcl" / "questions.jsonl.gz")
    prices = msgspec.json.decode((data / "bfcl" / "prices.json").read_bytes())
    questions = [str(row["question"]) for row in asked]
    contexts: list[dict[str, Any]] = [
        {"tools": min(row["n_tools"], 4), "length": len(question)}
        for row, question in zip(asked, questions, strict=True)
    ]
    candidates = [tuple(_priced(arm, prices[arm], text) for arm in arms) for text in choice.texts]
    return _routing(f"bfcl-{len(arms)}", choice, BFCL_MEAN, questions, contexts, candidates)


def _priced(arm: str, price: dict[str, float], text: str) -> Candidate:
    provider = "anthropic" if arm.startswith("claude") else "openai" if arm.startswith("gpt") else "mistral"
    asked = AROUND_TOKENS + len(text) / PER_TOKEN
    usd = (price["in_per_m"] * asked + price["out_per_m"] * ANSWER_TOKENS) / MILLION
    return Candidate(provider=provider, sku=arm, expected_cost=usd)


def intercode(data: Path) -> Routing:
    """Questions to databases: a model, with or without a hint, once or with retries; costs are learnt."""
    choice = datasets.intercode(data)
    asked = datasets.rows(data / "intercode" / "sql_tasks.jsonl.gz")
    goals = [row["goal"] for row in asked]
    candidates = tuple(Candidate(provider=arm.partition("_")[0], sku=arm.partition("_")[2]) for arm in choice.arms)
    contexts = [{"db": group} for group in choice.groups]
    return _routing("intercode-sql", choice, INTERCODE_MEAN, goals, contexts, [candidates] * len(goals))


def _routing(
    name: str,
    choice: Choice,
    unit: float,
    goals: list[str],
    contexts: Sequence[dict[str, Any]],
    candidates: Sequence[tuple[Candidate, ...]],
) -> Routing:
    """`unit` is how many US dollars a cost of 1 is."""
    requests = [
        DecisionRequest(goal=goal, context=context, candidates=some)
        for goal, context, some in zip(goals, contexts, candidates, strict=True)
    ]

    def outcome(item: int, arm: int) -> Outcome:
        return Outcome(success=bool(choice.successes[item, arm]), cost=float(choice.costs[item, arm]) * unit)

    costs = [[candidate.expected_cost for candidate in some] for some in candidates]
    return Routing(
        name=name,
        weights={"success": 0.5, "cost": WEIGHT / unit},
        requests=requests,
        actions=tuple(candidate.action for candidate in candidates[0]),
        utilities=choice.utilities,
        outcomes=outcome,
        facts=list(contexts),
        texts=goals,
        prices=None if costs[0][0] is None else np.array(costs, float) * WEIGHT / unit,
    )


TASKS: dict[str, Callable[[Path], Routing]] = {
    "routellm-text": lambda data: routellm(data, domain=False),
    "routellm-domain": lambda data: routellm(data, domain=True),
    "bfcl-2": lambda data: bfcl(data, BFCL_ARMS[:2]),
    "bfcl-8": bfcl,
    "intercode-sql": intercode,
}
