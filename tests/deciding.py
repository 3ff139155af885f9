"""Deciding again what a journal says was decided."""

from pathlib import Path

from auditor.at_rest import load
from auditor.events import Decided
from auditor.state import decode_tenant
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

    Each from its state, its eligible actions and its draw, and from what was learnt at the version it names.
    """
    journal = await SqliteJournal.open(connect(file))
    events = [recorded.event for recorded in await journal.read(0, EVERYTHING)]
    decided = [event for event in events if isinstance(event, Decided)]
    places = {(event.tenant, event.trace.policy_version) for event in decided}
    refolded = await refold(journal, journal.last_seq, places=places)
    await journal.close()
    for event in decided:
        prefix = refolded.prefixes[event.tenant, event.trace.policy_version]
        policy = load(decode_tenant(prefix), refolded.state.rules).policies[event.trace.point]
        for head in event.trace.heads:
            eligible = Eligible(actions=head.actions, masked=head.masked)
            assert policy.choose(head.head, head.state, eligible, Drawn(head.draw), head.rule) == head
    return len(decided)
