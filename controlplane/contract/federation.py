"""What origins learnt, as it is exported and imported."""

from strategist.federation import Entry

from .policies import Why
from .wire import Answer, Request


class ImportRequest(Request, frozen=True, kw_only=True):
    """What another origin learnt, as it was exported there, and why it is imported."""

    why: Why
    entry: Entry


class ImportAnswer(Answer, frozen=True, kw_only=True):
    """Whether the entry stands now; if not, `reason` says why nothing changed. `replaced`: the number of the older."""

    point: str
    origin: str
    seq: int
    cells: int
    imported: bool
    replaced: int | None
    reason: str | None


class OriginAnswer(Answer, frozen=True, kw_only=True):
    """What stands of one origin: up to which of its events, how many cells; when it was imported, by which key, why."""

    origin: str
    seq: int
    cells: int
    sha256: str
    at: float
    by: str
    why: str


class FederationAnswer(Answer, frozen=True, kw_only=True):
    """A point's own entry, to be imported elsewhere, and what was imported here; `left_out` cells found no room."""

    point: str
    own: Entry
    left_out: int
    imported: list[OriginAnswer]
