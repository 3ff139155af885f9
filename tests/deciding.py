"""Deciding again what a journal says was decided."""

from collections import defaultdict
from pathlib import Path

from auditor import Rules
from auditor import State as LearntState
from auditor.events import Decided, rests_on
from controlplane.journal import SqliteJournal, connect
from strategist import Eligible, Policy

EVERYTHING = 2**60


class Drawn:
    """The random number a decision was made with."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number


async def decisions_taken_again(file: Path) -> int:
    """How many decisions came out bit for bit, which are all: AssertionError for one that did not.

    Each from its state, its eligible actions and its draw, and from what was learnt and set at the version it names.
    """
    journal = await SqliteJournal.open(connect(file))
    events = await journal.read(0, EVERYTHING)
    await journal.close()
    made, kept = defaultdict[int, list[Decided]](list), dict[tuple[str, int], bytes]()
    state, taken = LearntState(Rules(points={})), 0
    for recorded in events:
        if isinstance(recorded.event, Decided):
            made[recorded.event.trace.policy_version].append(recorded.event)
    wanted = {(r.event.tenant, place) for r in events if (place := rests_on(r.event)) is not None}
    for seq, event in ((r.seq, r.event) for r in events):
        place = rests_on(event)
        state.apply(events[seq - 1], None if place is None else kept[event.tenant, place])
        kept |= {(tenant, at): state.dump_tenant(tenant) for tenant, at in wanted if at == seq}
        for decided in made[seq]:
            _taken_again(state, decided)
        taken += len(made[seq])
    return taken


def _taken_again(state: LearntState, decided: Decided) -> None:
    trace = decided.trace
    for head in trace.heads:
        eligible = Eligible(actions=head.actions, masked=head.masked, move=head.move)
        known = dict(zip(head.actions, head.known, strict=True)) if head.known else {}
        again = _who(state, decided).choose(head.head, head.state, eligible, Drawn(head.draw), head.rule, known)
        assert again == head


def _who(state: LearntState, decided: Decided) -> Policy:
    """The champion, or the challenger where that acted."""
    fold, trace = state.of(decided.tenant), decided.trace
    return fold.rivals[trace.point].policy if trace.acted else fold.policies[trace.point]
