"""Off-policy estimators of a policy's value from decisions that another policy made, each one visible line.

All take arrays over the logged decisions [N] and return *terms* [N], whose mean is the estimate, so that intervals and
differences need no second formula.

rewards: what came of the logged action.
weights: the target policy's probability of the logged action over the logged one.
model: a reward model's estimate for the logged action.
baseline: the reward model's value of the target policy, its sum over all actions.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TAU, LAM = 5.0, 100.0  # the weight up to which reports let switch-dr correct, and by which they let dr-os shrink


def importance_weights(target: Floats, actions: NDArray[np.intp], propensities: Floats) -> Floats:
    """Weights [N] of logged actions under a target policy [N, A]."""
    rows, size = target.shape
    weights: Floats = target.reshape(-1).take(np.arange(rows) * size + actions) / propensities
    return weights


def model_values(target: Floats, model: Floats) -> Floats:
    """The value [N] that a reward model [N, A] gives a target policy [N, A]."""
    values: Floats = np.einsum("na,na->n", target, model, optimize=False)
    return values


def ips(rewards: Floats, weights: Floats) -> Floats:
    """Inverse propensity scoring (Horvitz & Thompson 1952): unbiased, and as noisy as the weights are uneven."""
    return weights * rewards


def snips(rewards: Floats, weights: Floats) -> Floats:
    """Self-normalised (Swaminathan & Joachims 2015): stays within the range of the rewards."""
    terms: Floats = weights * rewards / weights.mean()
    return terms


def influence(terms: Floats, rewards: Floats, weights: Floats) -> Floats:
    """What each decision does to the self-normalised estimate of these terms, around the estimate, for its interval."""
    value = terms.mean()
    moved: Floats = value + weights / weights.mean() * (rewards - value)
    return moved


def dm(baseline: Floats) -> Floats:
    """Direct method: what the reward model says, as right as the model is."""
    return baseline


def dr(rewards: Floats, weights: Floats, model: Floats, baseline: Floats) -> Floats:
    """Doubly robust (Dudik, Langford & Li 2011): the model, corrected by what it got wrong."""
    return baseline + weights * (rewards - model)


def switch_dr(rewards: Floats, weights: Floats, model: Floats, baseline: Floats, *, tau: float) -> Floats:
    """Corrected only where the weight is at most `tau` (Wang, Agarwal & Dudik 2017)."""
    return baseline + switched(weights, tau) * (rewards - model)


def dr_os(rewards: Floats, weights: Floats, model: Floats, baseline: Floats, *, lam: float) -> Floats:
    """Corrected with optimistically shrunk weights (Su, Dimakopoulou, Krishnamurthy & Dudik 2020)."""
    return baseline + shrunk(weights, lam) * (rewards - model)


def switched(weights: Floats, tau: float) -> Floats:
    """The weights that switch-dr corrects by."""
    return np.where(weights <= tau, weights, 0.0)


def shrunk(weights: Floats, lam: float) -> Floats:
    """The weights that dr-os corrects by."""
    smaller: Floats = lam * weights / (weights * weights + lam)
    return smaller
