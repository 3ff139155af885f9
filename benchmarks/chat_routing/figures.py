"""What a router is worth: how well it ranks questions, and how accurate it is for what it spends."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .play import Floats, Played
from .questions import Questions

THOUSAND, NANO = 1000.0, 1e9
RESAMPLES = 2000


class Ranking(NamedTuple):
    """Of a router, by RouteLLM's measures (Ong et al. 2024).

    apgr: area under the gap's share that is recovered, against the share of questions the premium model gets.
    cpt50, cpt80: the share of questions that recovers half, four fifths of the gap.
    """

    apgr: float
    cpt50: float
    cpt80: float


class Point(NamedTuple):
    """Mean accuracy, and USD for a thousand questions."""

    accuracy: float
    usd: float


def ranking(scores: Floats, questions: Questions) -> Ranking:
    """Of a router that gives the premium model the questions with the largest scores [N] first."""
    gains = questions.right[:, 1].astype(float) - questions.right[:, 0]
    recovered = np.concatenate([[0.0], np.cumsum(gains[np.argsort(-scores, kind="stable")])]) / gains.sum()
    shares = np.linspace(0.0, 1.0, len(recovered))
    reached = [float(shares[np.argmax(recovered >= part)]) for part in (0.5, 0.8)]
    return Ranking(float(np.trapezoid(recovered, shares)), *reached)


def ranked(questions: Questions, played: Played) -> Ranking:
    """Of what was learnt before each question was asked."""
    return ranking(played.gaps, questions)


def always(questions: Questions, column: int) -> Point:
    """One model for every question."""
    return Point(float(questions.right[:, column].mean()), float(_usd(questions)[:, column].mean()))


def spent(questions: Questions, played: Played) -> Point:
    """What a play came to."""
    return Point(float(played.right.mean()), float(_cost(questions, played).mean()))


def _usd(questions: Questions) -> Floats:
    """What each model's answers cost [N, 2], in USD for a thousand such."""
    return questions.nano_usd * (THOUSAND / NANO)


def _cost(questions: Questions, played: Played) -> Floats:
    """The same of the answers that were given [N]."""
    return np.where(played.premium, *_usd(questions).T[::-1])


def above(questions: Questions, plays: Sequence[Played], seed: int) -> tuple[float, tuple[float, float]]:
    """How much more accurate plays are than a coin that spends as much, and a 95 % interval.

    The coin sends each question to one model or the other, whatever is asked. The interval is of a bootstrap that
    draws questions, with the mean of all plays of each.
    """
    right = np.mean([played.right for played in plays], axis=0)
    cost = np.mean([_cost(questions, played) for played in plays], axis=0)
    columns = np.column_stack([right, cost, questions.right, _usd(questions)])
    rng, count = np.random.default_rng(seed), len(columns)
    drawn = [_above(columns[rng.integers(count, size=count)].mean(axis=0)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _above(columns.mean(axis=0)), (float(low), float(high))


def _above(means: Floats) -> float:
    right, cost, cheap_right, premium_right, cheap_cost, premium_cost = means
    share = (cost - cheap_cost) / (premium_cost - cheap_cost)
    return float(right - cheap_right - share * (premium_right - cheap_right))


def above_ranked(questions: Questions, played: Played, scores: Floats) -> float:
    """How much more accurate a play is than giving the premium model the largest scores [N], for as much money."""
    first = np.argsort(-scores, kind="stable")
    (cheap, premium), count = _usd(questions)[first].T, len(first)
    worse, better = questions.right[first].astype(float).T
    spent = cheap.mean() + np.concatenate([[0.0], np.cumsum(premium - cheap)]) / count
    accuracy = worse.mean() + np.concatenate([[0.0], np.cumsum(better - worse)]) / count
    return float(played.right.mean() - np.interp(_cost(questions, played).mean(), spent, accuracy))
