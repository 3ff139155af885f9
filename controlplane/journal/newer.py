"""What only a newer version of Pointsman knows: a schema, an event. An older one goes no further, for it would fold
another state than the newer ones."""

from ..errors import Unavailable


class JournalNewer(Unavailable):
    """A newer version of Pointsman wrote to the journal; install that version here, too."""

    code = "journal_newer"

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}; install the newer Pointsman that wrote it")


def refuse_newer(version: int, newest: int) -> None:
    """Raises JournalNewer for a schema that this version does not know."""
    if version > newest:
        raise JournalNewer(f"the journal has schema {version}, this version of Pointsman knows {newest}")
