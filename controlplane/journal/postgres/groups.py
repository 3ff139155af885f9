"""What goes to the database together: appends that wait, as the arrays that its function takes."""

import asyncio
from collections import deque
from typing import Any

import msgspec

from auditor.events import AnyEvent

from ..rows import UNNUMBERED, event_row

GROUP = 256  # events of a commit


class Append(msgspec.Struct):
    """One request's events, the future it waits on, and whether only the lease's holder may write them."""

    future: asyncio.Future[int]
    events: tuple[AnyEvent, ...]
    payloads: tuple[bytes, ...]
    leading: bool


def next_group(pending: deque[Append]) -> list[Append]:
    """Take the first that wait."""
    group, events = [], 0
    while pending and events < GROUP:
        group.append(pending.popleft())
        events += len(group[-1].events)
    return group


def arrays(group: list[Append]) -> tuple[list[Any], ...]:
    """How many events each append has, whether it leads; and of each event whose it is, and its columns."""
    rows = [
        (place, *event_row(UNNUMBERED, event, payload)[1:])
        for place, append in enumerate(group, 1)
        for event, payload in zip(append.events, append.payloads, strict=True)
    ]
    owners, tenants, kinds, refs, ats, payloads, kept = map(list, zip(*rows, strict=True))
    sizes, leading = [len(append.events) for append in group], [append.leading for append in group]
    return sizes, leading, owners, tenants, kinds, [ref.encode() for ref in refs], ats, payloads, kept
