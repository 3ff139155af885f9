"""Temporal-difference targets, each one visible line.

Suffixes: r_t, discount_t and q_t belong to the step after action a_tm1 was taken.
"""

from collections.abc import Sequence


def q_learning(r_t: float, discount_t: float, q_t: Sequence[float]) -> float:
    """Target of one-step Q-learning (Watkins & Dayan, 1992).

    Args:
      r_t: reward of the transition.
      discount_t: its discount; 0 where the trajectory ended.
      q_t: values of the actions eligible in the next state [A]; empty only where discount_t is 0.
    """
    return r_t + discount_t * max(q_t, default=0.0)


def expected_sarsa(r_t: float, discount_t: float, q_t: Sequence[float], probs_t: Sequence[float]) -> float:
    """Target of expected Sarsa (van Seijen et al. 2009): what the next state's own policy earns on average.

    Args:
      r_t: reward of the transition.
      discount_t: its discount.
      q_t: values of the actions eligible in the next state [A].
      probs_t: probabilities with which they were drawn there [A].
    """
    return r_t + discount_t * sum([p * q for p, q in zip(probs_t, q_t, strict=True)])


def tree_backup(
    r_t: float, discount_t: float, q_t: Sequence[float], probs_t: Sequence[float], a_t: int, return_t: float
) -> float:
    """Target of tree backup (Precup, Sutton & Singh, 2000): what came of the action taken next, else what is expected.

    Args:
      r_t: reward of the transition.
      discount_t: its discount.
      q_t: values of the actions eligible in the next state [A].
      probs_t: probabilities with which they were drawn there [A].
      a_t: place of the action that was taken there.
      return_t: what came of it: its own target.
    """
    not_taken = [p * q for a, (p, q) in enumerate(zip(probs_t, q_t, strict=True)) if a != a_t]
    return r_t + discount_t * (sum(not_taken) + probs_t[a_t] * return_t)
