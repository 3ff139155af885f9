"""Off-policy evaluation: against published figures, against a truth that is known, how often intervals hold, how fast.

The peer is the Open Bandit Pipeline (PyPI `obp`), run in the same process on the same rows.
"""

import argparse
import csv
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from strategist.evaluation import (
    Diagnostics,
    Seen,
    anytime,
    bootstrap,
    cross_fitted,
    dm,
    dr,
    dr_os,
    importance_weights,
    influence,
    ips,
    model_values,
    normal,
    snips,
    switch_dr,
)

from .datasets import Choice, bfcl, intercode, routellm

Floats = NDArray[np.float64]
TAU, LAM = 5.0, 100.0
ITEMS, POSITIONS = 34, 3
GOLDEN = {  # of the data's README: Open Bandit Pipeline 0.4.1 on all 10,000 rows
    "random->bts": (0.0056562667, 0.0057398647, 0.0052384511, 0.0057153326, 0.0059671661, 0.0056807288),
    "bts->random": (0.0030086263, 0.0031894232, 0.0053062715, 0.0031969568, 0.0055064263, 0.0046568462),
}
GIVEN = {  # of the data's README: mean relative errors over 200 logs
    "routellm uniform": {"ips": 0.0088, "snips": 0.0046, "dm": 0.0041, "dr": 0.0041, "mean of log": 0.033},
    "routellm eps .3": {"ips": 0.0140, "snips": 0.0084, "dm": 0.0076, "dr": 0.0079, "mean of log": 0.047},
    "intercode uniform": {"ips": 0.0856, "snips": 0.0455, "dm": 0.0520, "dr": 0.0432, "mean of log": 0.335},
    "intercode eps .3": {"ips": 0.1359, "snips": 0.0837, "dm": 0.0658, "dr": 0.0801, "mean of log": 0.100},
    "bfcl uniform": {"ips": 0.0762, "snips": 0.0247, "dm": 0.0210, "dr": 0.0242, "mean of log": 0.178},
    "bfcl eps .3": {"ips": 0.1598, "snips": 0.0524, "dm": 0.0421, "dr": 0.0493, "mean of log": 0.090},
}
NAMES = ("ips", "snips", "dm", "dr", "switch-dr", "dr-os")
LOGS, FITTED, BEST = 200, 0.3, 0.9  # logs per data set, the part that the target is fitted on, its best arm's share
RUNS, ROWS = 2_000, 2_000  # synthetic logs, decisions of each
SPEED_ROWS, SPEED_ACTIONS, REPEATS = 1_000_000, 10, 5


class Logged(NamedTuple):
    """Decisions with everything an estimator takes: target and reward model [N, A]."""

    actions: NDArray[np.intp]
    rewards: Floats
    propensities: Floats
    target: Floats
    model: Floats


def terms(log: Logged) -> dict[str, Floats]:
    """Every estimator's terms [N]."""
    weights = importance_weights(log.target, log.actions, log.propensities)
    baseline, model = model_values(log.target, log.model), log.model[np.arange(len(log.actions)), log.actions]
    taken = (log.rewards, weights, model, baseline)
    corrected = (dr(*taken), switch_dr(*taken, tau=TAU), dr_os(*taken, lam=LAM))
    return dict(zip(NAMES, (ips(*taken[:2]), snips(*taken[:2]), dm(baseline), *corrected), strict=True))


def _open_bandit(data: Path) -> dict[str, Logged]:
    """The logs of the fashion site, each judged for the policy of the other; the model is smoothed shares of clicks."""
    shares = np.zeros((POSITIONS, ITEMS))
    with (data / "obd" / "men_bts_action_dist.csv").open() as lines:
        for row in csv.DictReader(lines):
            shares[int(row["position"]) - 1, int(row["item_id"])] = float(row["prob_empirical"])
    found = {}
    for direction, name, policy in (
        ("random->bts", "men_random", shares),
        ("bts->random", "men_bts", np.full((POSITIONS, ITEMS), 1.0 / ITEMS)),
    ):
        with gzip.open(data / "obd" / f"{name}.csv.gz", "rt") as lines:
            rows = list(csv.DictReader(lines))
        items, places = (np.array([int(row[column]) for row in rows]) for column in ("item_id", "position"))
        clicks, propensities = (np.array([float(row[c]) for row in rows]) for c in ("click", "propensity_score"))
        seen, clicked = np.zeros((POSITIONS, ITEMS)), np.zeros((POSITIONS, ITEMS))
        np.add.at(seen, (places - 1, items), 1.0)
        np.add.at(clicked, (places - 1, items), clicks)
        model = (clicked + 1.0) / (seen + 200.0)
        found[direction] = Logged(items, clicks, propensities, policy[places - 1], model[places - 1])
    return found


def golden(data: Path) -> dict[str, Any]:
    """Estimates and the largest difference from the published ones."""
    found: dict[str, Any] = {}
    for direction, log in _open_bandit(data).items():
        values = {name: float(of.mean()) for name, of in terms(log).items()}
        off = max(abs(value - known) for value, known in zip(values.values(), GOLDEN[direction], strict=True))
        found[direction] = values | {"largest_difference": off}
    return found


def exact_truth(task: Choice, epsilon: float, seed: int = 1) -> dict[str, float]:
    """Mean relative error over logs of a policy that takes one arm but for `epsilon` (1: any arm), outcomes known.

    The target takes the best arm of a group, as fitted on a part of the rows, with BEST, and any arm else.
    """
    rng, groups = np.random.default_rng(seed), task.numbered()
    size, count = len(task.arms), groups.max() + 1
    errors: dict[str, list[float]] = {}
    for _ in track(range(LOGS), description=f"{task.name}, epsilon {epsilon}", transient=True):
        order = rng.permutation(len(groups))
        fitted, judged = np.split(order, [int(FITTED * len(order))])
        means = np.zeros((count, size)) + task.utilities[fitted].mean(axis=0)
        for group in np.unique(groups[fitted]):
            means[group] = task.utilities[fitted[groups[fitted] == group]].mean(axis=0)
        target = np.full((count, size), (1.0 - BEST) / size)
        target[np.arange(count), means.argmax(axis=1)] += BEST
        behaviour = np.full(size, epsilon / size)
        behaviour[task.utilities[fitted].mean(axis=0).argmax()] += 1.0 - epsilon
        actions = rng.choice(size, len(judged), p=behaviour)
        rewards, where = task.utilities[judged, actions], groups[judged]
        seen, every = Seen(where, actions, rewards, np.arange(len(where)) % 5), np.arange(len(where) * size)
        model = cross_fitted(seen, every // size, every % size).reshape(-1, size)
        log = Logged(actions, rewards, behaviour[actions], target[where], model)
        truth = (log.target * task.utilities[judged]).sum(axis=1).mean()
        for name, of in {**terms(log), "mean of log": rewards}.items():
            errors.setdefault(name, []).append(abs(float(of.mean()) / truth - 1.0))
    return {name: round(float(np.mean(found)), 4) for name, found in errors.items()}


def _synthetic(rng: np.random.Generator, *, learning: bool) -> tuple[Floats, Floats, float]:
    """(rewards, weights, truth) of a log over four actions, of a fixed policy or of one that learns while it logs."""
    means, target = np.array([0.3, 0.5, 0.6, 0.4]), np.array([0.1, 0.2, 0.6, 0.1])
    draws, lucks = rng.random(ROWS), rng.random(ROWS)
    rewards, weights = np.empty(ROWS), np.empty(ROWS)
    visits, totals = [1.0] * 4, [0.5] * 4
    for row in range(ROWS):
        best = max(range(4), key=lambda action: totals[action] / visits[action]) if learning else 1
        behaviour = [0.05 + 0.8 * (action == best) for action in range(4)]
        action, rest = 0, draws[row]
        while action < 3 and rest >= behaviour[action]:
            rest -= behaviour[action]
            action += 1
        rewards[row], weights[row] = float(lucks[row] < means[action]), target[action] / behaviour[action]
        visits[action] += 1.0
        totals[action] += rewards[row]
    return rewards, weights, float(means @ target)


def coverage(*, learning: bool, seed: int = 1) -> dict[str, Any]:
    """How often each 95 % interval holds the truth, its mean width, and the smallest effective sample size."""
    rng = np.random.default_rng(seed)
    held: dict[str, list[bool]] = {}
    widths: dict[str, list[float]] = {}
    effective = []
    for _ in track(range(RUNS), description="coverage", transient=True):
        rewards, weights, truth = _synthetic(rng, learning=learning)
        effective.append(Diagnostics.of(weights, 0.0).effective)
        for name, found in {
            "normal ips": normal(ips(rewards, weights)),
            "normal snips": normal(influence(snips(rewards, weights), rewards, weights)),
            "bootstrap snips": bootstrap(weights * rewards, weights, rng),
            "anytime": anytime(rewards, weights, 0.0, 1.0),
        }.items():
            held.setdefault(name, []).append(found.low <= truth <= found.high)
            widths.setdefault(name, []).append(found.high - found.low)
    told = {
        name: {"held": float(np.mean(held[name])), "width": round(float(np.mean(widths[name])), 4)} for name in held
    }
    return {**told, "smallest_effective": round(min(effective), 1)}


def speed(seed: int = 1) -> dict[str, Any]:
    """Million rows a second, ours and the peer's in turn, the fastest of each."""
    rng = np.random.default_rng(seed)
    actions, rewards = rng.integers(0, SPEED_ACTIONS, SPEED_ROWS), rng.random(SPEED_ROWS)
    propensities, target = np.full(SPEED_ROWS, 1.0 / SPEED_ACTIONS), rng.dirichlet(np.ones(SPEED_ACTIONS), SPEED_ROWS)
    model = rng.random((SPEED_ROWS, SPEED_ACTIONS))
    log = Logged(actions, rewards, propensities, target, model)
    found: dict[str, Any] = {}
    for name, (ours, theirs) in _pairs(log).items():
        best = {"pointsman": 0.0, "obp": 0.0}
        for _ in range(REPEATS):
            for who, act in (("pointsman", ours), ("obp", theirs)):
                begun = time.perf_counter()
                act()
                best[who] = max(best[who], SPEED_ROWS / 1e6 / (time.perf_counter() - begun))
        found[name] = {who: round(rate, 2) for who, rate in best.items()} | {
            "ratio": round(best["pointsman"] / best["obp"], 2)
        }
    return found


def _pairs(log: Logged) -> dict[str, tuple[Callable[[], float], Callable[[], float]]]:
    """The same estimate by us and by the peer, from the same arrays."""
    from obp.ope import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

    shared = {"reward": log.rewards, "action": log.actions, "pscore": log.propensities}
    shared["action_dist"] = log.target[:, :, np.newaxis]
    modelled = shared | {"estimated_rewards_by_reg_model": log.model[:, :, np.newaxis]}

    def weights() -> Floats:
        return importance_weights(log.target, log.actions, log.propensities)

    def doubly() -> float:
        taken = log.model.reshape(-1).take(np.arange(len(log.actions)) * log.model.shape[1] + log.actions)
        return float(dr(log.rewards, weights(), taken, model_values(log.target, log.model)).mean())

    return {
        "ips": (
            lambda: float(ips(log.rewards, weights()).mean()),
            lambda: InverseProbabilityWeighting().estimate_policy_value(**shared),
        ),
        "snips": (
            lambda: float(snips(log.rewards, weights()).mean()),
            lambda: SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**shared),
        ),
        "dr": (doubly, lambda: DoublyRobust().estimate_policy_value(**modelled)),
    }


def measure(data: Path | None) -> dict[str, Any]:
    """Everything; what reads data only where there is some."""
    found: dict[str, Any] = {}
    if data is not None:
        found["obd"] = golden(data)
        found["exact_truth"] = {
            (told := f"{task.name} {name}"): {"ours": exact_truth(task, epsilon), "given": GIVEN[told]}
            for task in (routellm(data), intercode(data), bfcl(data))
            for name, epsilon in (("uniform", 1.0), ("eps .3", 0.3))
        }
    found["coverage"] = {"fixed": coverage(learning=False), "learning": coverage(learning=True)}
    found["speed"] = speed()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ope", description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of real data sets")
    parser.add_argument("--json", action="store_true", help="print JSON on one line")
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.data), indent=None if arguments.json else 2))


if __name__ == "__main__":
    main()
