"""Off-policy estimators for trajectories: what a policy's tasks are worth, from tasks that another policy went through.

All take arrays over tasks and steps [M, T], zero past a task's end, and return terms [M] whose mean is the estimate.

rewards: of each step.
ratios: the target policy's probability of the step's action over the logged one; 1 past the end.
discount: of each step on, in [0, 1].
"""

import numpy as np

from .estimators import Floats


def per_decision(rewards: Floats, ratios: Floats, discount: float) -> Floats:
    """Per-decision importance sampling (Precup, Sutton & Singh 2000): a reward is weighted by what led up to it."""
    return _discounted(np.cumprod(ratios, axis=1) * rewards, discount)


def weighted_per_decision(rewards: Floats, ratios: Floats, discount: float) -> Floats:
    """The same with each step's weights divided by their mean (Thomas 2015): biased, and far less noisy."""
    weights = np.cumprod(ratios, axis=1)
    return _discounted(weights / weights.mean(axis=0) * rewards, discount)


def weighted_influence(rewards: Floats, ratios: Floats, discount: float) -> Floats:
    """What each task does to the weighted estimate, around it: the same mean, and the right spread for its interval."""
    weights = np.cumprod(ratios, axis=1)
    shares = weights / weights.mean(axis=0)
    steps = (shares * rewards).mean(axis=0)
    return _discounted(steps + shares * (rewards - steps), discount)


def doubly_robust(rewards: Floats, ratios: Floats, model: Floats, baseline: Floats, discount: float) -> Floats:
    """Step by step from the end (Jiang & Li 2016): the model's value, corrected by what it got wrong.

    model: the estimate [M, T] of each step's action, baseline: of the target policy in its state; 0 past the end.
    """
    values: Floats = np.zeros(len(rewards))
    for step in range(rewards.shape[1] - 1, -1, -1):
        wrong = rewards[:, step] + discount * values - model[:, step]
        values = baseline[:, step] + ratios[:, step] * wrong
    return values


def _discounted(terms: Floats, discount: float) -> Floats:
    powers = np.concatenate(([1.0], np.full(terms.shape[1] - 1, discount))).cumprod()
    total: Floats = (terms * powers).sum(axis=1)
    return total
