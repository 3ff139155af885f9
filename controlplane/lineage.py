"""What checkpoints and restores make of a journal: which stretches of it the present state was folded from, and which
learnt states can be gone back to.
"""

from collections.abc import Iterable, Sequence

from auditor.events import AnyEvent, Checkpointed, CheckpointsPruned, Recorded, Restored

Stretch = tuple[int, int]  # (after, until]


def stretches(marks: Sequence[Recorded], until: int) -> list[Stretch]:
    """The stretches up to `until`, newest first; `marks` holds the tenant's restores in order.

    >>> back = Recorded(20, Restored(tenant="a", at=0.0, checkpoint_id="cp", seq=7))
    >>> stretches([back], 25)
    [(20, 25), (0, 7)]
    """
    found = []
    for mark in reversed(marks):
        if isinstance(mark.event, Restored) and mark.seq <= until:
            found.append((mark.seq, until))
            until = mark.event.seq
    return [*found, (0, until)]


def holds(marks: Sequence[Recorded], until: int, seq: int) -> bool:
    """Whether the event at `seq` is part of the present state, not set aside by a restore."""
    return any(after < seq <= end for after, end in stretches(marks, until))


def present(events: Iterable[AnyEvent]) -> dict[str, Checkpointed]:
    """The checkpoints that are there, by id, the newest last; one that a restore names is, even if it was pruned."""
    ever, there = dict[str, Checkpointed](), dict[str, Checkpointed]()
    for event in events:
        match event:
            case Checkpointed():
                there.pop(event.checkpoint_id, None)
                ever[event.checkpoint_id] = there[event.checkpoint_id] = event
            case Restored() if event.checkpoint_id in ever:
                there[event.checkpoint_id] = ever[event.checkpoint_id]
            case CheckpointsPruned():
                for checkpoint_id in event.checkpoint_ids:
                    there.pop(checkpoint_id, None)
    return there


def named(events: Iterable[AnyEvent]) -> set[str]:
    """The checkpoints that something rests on: a fold of the journal goes back to them."""
    return {event.checkpoint_id for event in events if isinstance(event, Restored)}
