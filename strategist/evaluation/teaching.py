"""A policy taught from a log that is read once, decision by decision, whatever its length."""

from collections.abc import Iterable, Iterator
from itertools import islice

from ..snapshot import PolicySnapshot
from .log import LoggedDecision
from .replay import edges
from .student import Student
from .target import Target


def taught(decisions: Iterable[LoggedDecision], count: int, target: Target) -> Iterator[PolicySnapshot]:
    """The policy before each block of a log of `count` decisions, and at last after all of them.

    Each decision is learnt alone, so of a policy that learns whole tasks this would be another one. A frozen policy
    reads nothing.
    """
    student, going = Student(target), iter(decisions)
    learnt = 0
    for edge in edges(count):
        if target.settings.mode != "frozen":
            for decision in islice(going, edge - learnt):
                student.learn([decision], decision.row)
            learnt = edge
        yield student.snapshot()
