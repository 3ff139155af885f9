"""Whether the database is there: told to whoever asks, and to the log once when it goes away, once when it is back."""

import structlog

from ...clock import Clock
from ...errors import JournalDamaged, JournalUnavailable, PointsmanError
from ..newer import JournalNewer

log = structlog.get_logger()
SILENT_S = 2.5  # without an answer to the reader, after which a replica is no longer ready


class Trouble:
    """Of reading and of writing apart: a disk that is full is still read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reading: str | None = None
        self._writing: str | None = None
        self._refused: str | None = None  # what the log was told of writing
        self._heard_at = clock.monotonic()

    @property
    def code(self) -> str | None:
        """Of what stands in the way; None where nothing does."""
        silent = self._clock.monotonic() - self._heard_at > SILENT_S
        return self._writing or self._reading or (JournalUnavailable.code if silent else None)

    @property
    def of_writing(self) -> bool:
        return self._writing is not None

    def heard(self) -> None:
        """The reader had an answer."""
        self._heard_at = self._clock.monotonic()

    def read(self) -> None:
        """It did all that it had to do; a log that cannot be read stays so."""
        if self._reading == JournalUnavailable.code:
            self._reading = None
            log.info("journal_read_again")

    def not_read(self, error: PointsmanError) -> None:
        """It could not do it."""
        if isinstance(error, JournalDamaged | JournalNewer):
            log.error("journal_not_read", error=str(error))
        elif self._reading is None:
            log.warning("journal_not_read", error=str(error), until="the database answers again")
        self._reading = error.code

    def unsure(self) -> None:
        """The answer of a write was lost; it is asked for again."""
        self._writing = JournalUnavailable.code

    def written(self) -> None:
        """A write went through."""
        if self._refused is not None:
            log.info("journal_written_again")
        self._writing = self._refused = None

    def not_written(self, error: PointsmanError) -> None:
        """One was refused."""
        if self._refused != error.code:
            log.error("journal_write_failed", error=str(error))
        self._writing = self._refused = error.code
