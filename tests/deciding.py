"""Deciding again what a journal says was decided."""

from collections.abc import Sequence
from pathlib import Path

from auditor import Rules
from auditor.at_rest import load
from auditor.events import AnyEvent, Configured, Decided
from auditor.policy_events import PolicySet
from auditor.state import decode_tenant
from auditor.steering import Steering
from controlplane.journal import SqliteJournal, connect
from controlplane.refold import refold
from strategist import Eligible

EVERYTHING = 2**60


class Drawn:
    """The random number a decision was made with."""

    def __init__(self, number: float) -> None:
        self._number = number

    def random(self) -> float:
        return self._number


async def decisions_taken_again(file: Path) -> int:
    """How many decisions came out bit for bit, which are all: AssertionError for one that did not.

    Each from its state, its eligible actions and its draw, and from what was learnt, under the rules in force, at the
    version it names.
    """
    journal = await SqliteJournal.open(connect(file))
    events = [recorded.event for recorded in await journal.read(0, EVERYTHING)]
    decided = [event for event in events if isinstance(event, Decided)]
    places = {(event.tenant, event.trace.policy_version) for event in decided}
    refolded = await refold(journal, journal.last_seq, places=places)
    await journal.close()
    for event in decided:
        prefix, rules = refolded.prefixes[event.tenant, event.trace.policy_version], rules_before(event, events)
        policy = load(decode_tenant(prefix), rules).policies[event.trace.point]
        for head in event.trace.heads:
            eligible = Eligible(actions=head.actions, masked=head.masked, move=head.move)
            known = dict(zip(head.actions, head.known, strict=True)) if head.known else {}
            assert policy.choose(head.head, head.state, eligible, Drawn(head.draw), head.rule, known) == head
    return len(decided)


def rules_before(decided: Decided, events: Sequence[AnyEvent]) -> Rules:
    """Those of the settings, and what operators had set in their place, when a decision was made."""
    rules, steering = Rules(points={}), Steering()
    for seq, event in enumerate(events[: decided.trace.policy_version], 1):
        if isinstance(event, Configured):
            rules = event.rules
        if isinstance(event, PolicySet):
            steering.fold(seq, event)
    return steering.over(decided.tenant, rules)
