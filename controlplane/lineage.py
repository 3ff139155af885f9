"""Which stretches of the journal the present state was folded from: a restore leaves out what came before it."""

from collections.abc import Sequence

from auditor.events import Recorded, Restored

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
