"""The peers, in this process, over the same items, features and known prices: Vowpal Wabbit and MABWiser."""

import re
from collections.abc import Callable
from zlib import crc32

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from numpy.typing import NDArray
from vowpalwabbit import pyvw

from .figures import Earned, Order
from .routing import Routing

WORD = re.compile(r"[a-z0-9_]+")
WORDS, HASHED = 120, 64  # different words of a text that are read; features that MABWiser's linear models take


def vowpal(exploration: str) -> Callable[[Routing, Routing, Order, int], Earned]:
    """Contextual bandit with action-dependent features: words and facts crossed with the action."""

    def play(task: Routing, after: Routing, order: Order, seed: int) -> Earned:
        rng, earned = np.random.default_rng(seed), np.empty(len(order))
        learner = pyvw.Workspace(f"--cb_explore_adf {exploration} -b 20 -q da -q ta --quiet --random_seed {seed}")
        for place, item in enumerate(order):
            now = task if 2 * place < len(order) else after
            lines = _example(now, int(item))
            odds = np.array(learner.predict(lines), float)
            arm = int(rng.choice(len(odds), p=odds / odds.sum()))
            earned[place] = now.utilities[item, arm]
            lines[arm + 1] = f"0:{1.0 - earned[place]:.6f}:{odds[arm]:.6f} {lines[arm + 1]}"
            learner.learn(lines)
        learner.finish()
        return earned

    return play


def words(text: str) -> list[str]:
    """The different words of a text that peers read, in order."""
    return list(dict.fromkeys(WORD.findall(text.lower())))[:WORDS]


def _example(task: Routing, item: int) -> list[str]:
    facts = " ".join(f"{name}={_plain(value)}" for name, value in task.facts[item].items())
    lines = [f"shared |d {facts} |t {' '.join(words(task.texts[item]))}"]
    for arm, action in enumerate(task.actions):
        price = "" if task.prices is None else f" |p price:{task.prices[item, arm]:.5f}"
        lines.append(f"|a {_plain(action)}{price}")
    return lines


def _plain(value: object) -> str:
    """Without what Vowpal Wabbit reads as syntax; numbers by their power of two, as ours are."""
    if isinstance(value, int) and value >= 8:
        return f"2^{value.bit_length() - 1}"
    return re.sub(r"[:| ]", "_", str(value))


def mabwiser(task: Routing, after: Routing, order: Order, seed: int) -> Earned:
    """LinGreedy with epsilon 0.05 over hashed features."""
    rng, earned = np.random.default_rng(seed), np.empty(len(order))
    learner = MAB([*task.actions], LearningPolicy.LinGreedy(epsilon=0.05), seed=seed)
    for place, item in enumerate(order):
        now = task if 2 * place < len(order) else after
        seen = _hashed(now, int(item))
        arm = now.actions.index(learner.predict(seen)) if place else int(rng.integers(len(now.actions)))
        earned[place] = now.utilities[item, arm]
        (learner.partial_fit if place else learner.fit)([now.actions[arm]], [earned[place]], seen)
    return earned


def _hashed(task: Routing, item: int) -> NDArray[np.float64]:
    """[1, HASHED], of unit length."""
    row = np.zeros((1, HASHED))
    facts = [f"{name}={_plain(value)}" for name, value in task.facts[item].items()]
    for word in {*WORD.findall(task.texts[item].lower()), *facts}:
        row[0, crc32(word.encode()) % HASHED] += 1.0
    return row / max(1.0, float(np.linalg.norm(row)))


PEERS: dict[str, Callable[[Routing, Routing, Order, int], Earned]] = {
    "vw epsilon": vowpal("--epsilon 0.05"),
    "vw squarecb": vowpal("--squarecb --gamma_scale 1000"),
    "vw regcbopt": vowpal("--regcbopt --mellowness 0.01"),
    "mabwiser": mabwiser,
}
