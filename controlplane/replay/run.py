"""One replay from a log and a policy to its report."""

import msgspec

from strategist.errors import BadLog
from strategist.evaluation import Kept, Replay, Report, Target, judge

from ..errors import UnusableLog
from .log import Log, Progress
from .unfinished import Unfinished

LEAST = 50  # decisions; of fewer there is nothing to learn from and nothing to value
SEED = 1  # of the bootstrap


def replay(log: Log, target: Target, progress: Progress, unfinished: Unfinished | None = None) -> Report:
    """What the policy would have been worth; equal logs and policies give equal reports.

    Raises:
      UnusableLog: there are too few decisions, or a reward lies outside the stated range.
    """
    log.require(LEAST, "a replay")
    if target.weights is None and target.reward_range is None:
        target = msgspec.structs.replace(target, reward_range=log.reward_range)
    try:
        target.span(log.decisions)
    except BadLog as error:
        raise UnusableLog(str(error)) from error
    kept = _replayed(log, target, progress, unfinished)
    cannot = [*log.left_out, *log.notes, *_unknown_terms(log, target)]
    report = judge(log.decisions, target, kept.blocks, SEED, cannot)
    if unfinished is not None:
        unfinished.remove()
    return report


def _replayed(log: Log, target: Target, progress: Progress, unfinished: Unfinished | None) -> Kept:
    kept = None if unfinished is None else unfinished.read()
    going = Replay(log.decisions, target, kept)
    kept = going.kept()
    for kept in going.blocks():
        progress(kept.blocks[-1].last, len(log.decisions))
        if unfinished is not None:
            unfinished.write(kept)
    return kept


def _unknown_terms(log: Log, target: Target) -> list[str]:
    known = {term for decision in log.decisions for term in decision.terms}
    return [
        f"no decision of the log has the term {name}; it counts 0"
        for name in sorted((target.weights or {}).keys() - known)
    ]
