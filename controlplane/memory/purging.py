"""Taking what is purged out of the journal."""

import asyncio

from ..journal import Journal


async def overwrite(journal: Journal, tenant: str, digest: str, until: int) -> None:
    """Erase every capture of a content before `until`; those are looked for now, for one may just have come in.

    Raises:
      StorageFull, JournalUnavailable: one could not be; the journal owes it, and does it with its next write.
    """
    captures = await journal.about(tenant, digest, "capture")
    erasing = (journal.erase(tenant, recorded.seq) for recorded in captures if recorded.seq < until)
    for refusal in await asyncio.gather(*erasing, return_exceptions=True):
        if refusal is not None:
            raise refusal
