"""One replay of a drawn log, in a process of its own: how long it takes and how much memory at most."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from controlplane.replay import parquet
from controlplane.replay.engine import Answer, Engine, Name, Order
from controlplane.replay.engines import named
from controlplane.replay.exported import groups, situation_of
from controlplane.replay.shards import SIZE, replay_files
from strategist import EpsilonDecay, PolicySettings
from strategist.evaluation import Sight, Student, Target, edges

KILOBYTES = 1024  # of a megabyte, which memory is told in
TARGETS = {
    "frozen": Target(settings=PolicySettings(mode="frozen")),
    "learning": Target(settings=PolicySettings(epsilon=EpsilonDecay(start=0.3))),
}


class _Watched:
    """An engine, with how long each call of it took and the most memory of any process that worked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds: list[float] = []
        self.largest = 0

    def map(self, work: Callable[[Order], Answer], orders: Sequence[Order]) -> Iterator[Answer]:
        begun = time.perf_counter()
        for answer, size in self._engine.map(partial(_sized, work), orders):
            self.largest = max(self.largest, size)
            yield answer
        self.seconds.append(round(time.perf_counter() - begun, 2))


def _sized(work: Callable[[Order], Answer], order: Order) -> tuple[Answer, int]:
    return work(order), _peak()


def _peak() -> int:
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KILOBYTES


def played(folder: Path, policy: str, name: Name) -> dict[str, Any]:
    """Time and memory of a replay, and a digest of its report; `cpu_s` is of this process, without workers."""
    begun = time.perf_counter()
    with named(name) as engine:
        started, watched = time.perf_counter(), _Watched(engine)
        report = replay_files(groups(folder), lambda point: TARGETS[policy], watched, lambda done, of: None)
        ended = time.perf_counter()
    teach, estimate = watched.seconds
    return {
        "policy": policy,
        "engine": name,
        "valued": sum(group.report.valued for group in report.groups),
        "start_s": round(started - begun, 2),
        "teach_s": teach,
        "estimate_s": estimate,
        "all_s": round(ended - begun, 2),
        "cpu_s": round(time.process_time(), 2),
        "memory_mb": _peak(),
        "worker_memory_mb": watched.largest,
        "report": blake2b(msgspec.json.encode(report), digest_size=8).hexdigest(),
    }


class _Arrays(NamedTuple):
    """What the peer takes: all of the first group's valued decisions at once."""

    action: Any
    reward: Any
    pscore: Any
    action_dist: Any


def peer(folder: Path) -> dict[str, Any]:
    """The first group under the frozen policy: ours from its files, and the Open Bandit Pipeline's from arrays."""
    from obp.ope import InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

    [group, *_] = groups(folder)
    begun = time.perf_counter()
    with named("local") as engine:
        [ours] = replay_files([group], lambda point: TARGETS["frozen"], engine, lambda done, of: None).groups
    ended = time.perf_counter()
    arrays = _arrays([file for file, _ in group.files], edges(group.decisions)[0])
    read = time.perf_counter()
    theirs = {
        name: float(estimator.estimate_policy_value(**arrays._asdict()))
        for name, estimator in (
            ("ips", InverseProbabilityWeighting()),
            ("snips", SelfNormalizedInverseProbabilityWeighting()),
        )
    }
    estimated = time.perf_counter()
    return {
        "valued": ours.report.valued,
        "pointsman_s": round(ended - begun, 2),
        "obp_read_s": round(read - ended, 2),
        "obp_estimate_s": round(estimated - read, 2),
        "largest_difference": max(abs(ours.report.values[name].value - value) for name, value in theirs.items()),
    }


def _arrays(files: Sequence[Path], skipped: int) -> _Arrays:
    student, parts = Student(TARGETS["frozen"]), []
    for file in files:
        for columns in parquet.columns(file, ("situation", "action", "reward", "propensity"), SIZE):
            situations, actions = columns["situation"], columns["action"]
            assert isinstance(situations, parquet.Coded)
            assert isinstance(actions, parquet.Coded)
            sights = [Sight(situation_of(text)) for text in situations.texts]
            table = np.array([student.probabilities(sight) for sight in sights])
            order = [sights[0].situation.actions.index(text) for text in actions.texts]
            taken = np.array(order)[actions.codes]
            parts.append((taken, columns["reward"], columns["propensity"], table[situations.codes]))
    action, reward, pscore, target = (np.concatenate(of)[skipped:] for of in zip(*parts, strict=True))
    return _Arrays(action, reward, pscore, target[:, :, np.newaxis])
