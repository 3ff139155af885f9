"""A replay of many exported files, in parts that any process can work on.

1. **Teach**: a policy for each tenant and point, decision by decision in the order of the log, by one worker.
2. **Estimate**: each file is a shard; its decisions are added up under the policy that was there before their block.
3. Tallies are merged in the order of the files, and judged.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from strategist import PolicySnapshot
from strategist.evaluation import AddedReport, Student, Tally, Target, edges, judge_added, merged, taught

from ..errors import UnusablePolicy
from . import parquet
from .batch import Batch, Sights, wanted
from .engine import Engine
from .exported import Group, decisions
from .log import Progress
from .run import LEAST

SIZE = 1 << 17  # decisions that are added up at once


class Lesson(NamedTuple):
    """What a worker teaches a policy from."""

    files: Sequence[Path]
    decisions: int
    target: Target


class Shard(NamedTuple):
    """A file whose decisions are added up.

    first: the place of its first decision among those of its group.
    edges: where the group's blocks begin, and where the last one ends.
    before: the policy before each block that the file has decisions of.
    """

    file: Path
    first: int
    edges: Sequence[int]
    before: dict[int, PolicySnapshot]
    target: Target


class GroupReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy would have been worth at a tenant's point; `learnt` is a digest of all it learnt there."""

    tenant: str
    point: str
    learnt: str
    report: AddedReport


class LargeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay of many files answers, and which groups are too small to be told anything of."""

    groups: list[GroupReport]
    left_out: list[str]


def replay_files(
    groups: Sequence[Group], target_of: Callable[[str], Target], engine: Engine, progress: Progress
) -> LargeReport:
    """The same on every engine, bit for bit.

    Args:
      target_of: the policy for a point.

    Raises:
      UnusableLog: a file cannot be read, or a row of it cannot be used.
      UnusablePolicy: the policy learns whole tasks.
    """
    large = [group for group in groups if group.decisions >= LEAST]
    small = [group for group in groups if group.decisions < LEAST]
    targets = [_single(target_of(group.point)) for group in large]
    ahead = len(large) + sum(len(group.files) for group in large)
    policies = []
    for before in engine.map(teach, lessons(large, targets)):
        policies.append(before)
        progress(len(policies), ahead)
    orders = [(at, shard) for at, of in enumerate(zip(large, targets, policies, strict=True)) for shard in shards(*of)]
    tallies = [dict[int, Tally]() for _ in large]
    answers = zip(orders, engine.map(estimate, [shard for _, shard in orders]), strict=True)
    for done, ((at, _), found) in enumerate(answers, len(large) + 1):
        for block, each in found.items():
            tallies[at][block] = merged([tallies[at][block], each]) if block in tallies[at] else each
        progress(done, len(large) + len(orders))
    return LargeReport(
        groups=[_judged(*of) for of in zip(large, policies, tallies, strict=True)],
        left_out=[f"{g.tenant}, {g.point}: {g.decisions} decision(s); a replay needs {LEAST}" for g in small],
    )


def _single(target: Target) -> Target:
    if target.settings.update == "tree_backup":
        said = "update tree_backup learns whole tasks, and many files are learnt decision by decision"
        raise UnusablePolicy(f"{said}; choose another update, or replay the journal or one file")
    return target


def lessons(groups: Sequence[Group], targets: Sequence[Target]) -> list[Lesson]:
    return [
        Lesson([file for file, _ in group.files], group.decisions, target)
        for group, target in zip(groups, targets, strict=True)
    ]


def teach(lesson: Lesson) -> list[PolicySnapshot]:
    """The policy before each block, and after the last one.

    Raises:
      UnusableLog: a file cannot be read, or a row of it cannot be used.
    """
    return list(taught(decisions(lesson.files), lesson.decisions, lesson.target))


def shards(group: Group, target: Target, policies: Sequence[PolicySnapshot]) -> Iterator[Shard]:
    """The files that have valued decisions."""
    ends, first = edges(group.decisions), 0
    for file, count in group.files:
        if blocks := [block for block, *_ in _blocks(ends, first, first + count)]:
            yield Shard(file, first, ends, {block: policies[block] for block in blocks}, target)
        first += count


def estimate(shard: Shard) -> dict[int, Tally]:
    """The tally of each block that the file has decisions of.

    Raises:
      UnusableLog: the file cannot be read, or a row of it cannot be used.
    """
    sights = {block: Sights(Student(shard.target, policy), shard.target) for block, policy in shard.before.items()}
    found: defaultdict[int, list[Tally]] = defaultdict(list)
    begin = shard.first
    for columns in parquet.columns(shard.file, wanted(shard.file, shard.target), SIZE):
        batch = Batch(columns, shard.file, begin - shard.first)
        for block, first, last in _blocks(shard.edges, begin, begin + batch.size):
            part = batch.cut(first - begin, last - begin)
            found[block].append(sights[block].tally(part, first - shard.edges[0]))
        begin += batch.size
    return {block: merged(of) for block, of in found.items()}


def _blocks(ends: Sequence[int], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """Which blocks the decisions from `first` to `last`, that one excluded, lie in, and from where to where."""
    for block, (begin, end) in enumerate(pairwise(ends)):
        if max(begin, first) < min(end, last):
            yield block, max(begin, first), min(end, last)


def _judged(group: Group, policies: Sequence[PolicySnapshot], tallies: dict[int, Tally]) -> GroupReport:
    report = judge_added(
        [tallies[block] for block in sorted(tallies)],
        edges(group.decisions),
        [policy.updates for policy in policies[:-1]],
    )
    learnt = blake2b(msgspec.msgpack.encode(policies[-1]), digest_size=16).hexdigest()
    return GroupReport(tenant=group.tenant, point=group.point, learnt=learnt, report=report)
