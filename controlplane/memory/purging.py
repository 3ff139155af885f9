"""Taking what is purged out of the journal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from auditor.reflection_events import Reflected
from auditor.skill_events import SkillDescribed

from ..journal import Journal
from .space import EpisodeRecord

Overwriting = Callable[[Journal], Awaitable[None]]  # of what is there yet


async def overwrite_episode(
    journal: Journal, tenant: str, record: EpisodeRecord, until: int, reflection: Reflected | None
) -> None:
    """Erase every capture of a content before `until`, and what models made of it. Raises as `overwrite` does."""
    await overwrite(journal, tenant, record.episode.digest, until)
    if reflection is not None:
        await overwrite_reflection(journal, tenant, reflection.reflection_id)
    if (described := record.made.described) is not None:
        await overwrite_description(journal, tenant, described)


async def overwrite(journal: Journal, tenant: str, digest: str, until: int) -> None:
    """Erase every capture of a content before `until`; those are looked for now, for one may just have come in.

    Raises:
      StorageFull, JournalUnavailable: one could not be; the journal owes it, and does it with its next write.
    """
    captures = await journal.about(tenant, digest, "capture")
    await _erase(journal, tenant, [recorded.seq for recorded in captures if recorded.seq < until])


async def overwrite_reflection(journal: Journal, tenant: str, reflection_id: str) -> None:
    """Erase a reflection.

    Raises:
      StorageFull, JournalUnavailable: not yet; the journal does it with its next write.
    """
    made = await journal.about(tenant, reflection_id, "reflection")
    await _erase(journal, tenant, [recorded.seq for recorded in made])


async def overwrite_description(journal: Journal, tenant: str, described: SkillDescribed) -> None:
    """Erase a skill's words, however often it was put into some.

    Raises:
      StorageFull, JournalUnavailable: not yet; the journal does it with its next write.
    """
    made = await journal.about(tenant, described.ref, "skill_described")
    await _erase(journal, tenant, [recorded.seq for recorded in made])


async def overwrite_documents(journal: Journal, tenant: str, until: Mapping[str, int]) -> None:
    """Erase every version of documents that is older than an event, by their refs.

    Raises:
      StorageFull, JournalUnavailable: one could not be; the journal owes it, and does it with its next write.
    """
    versions = [recorded for ref in until for recorded in await journal.about(tenant, ref, "document")]
    await _erase(journal, tenant, [recorded.seq for recorded in versions if recorded.seq < until[recorded.event.ref]])


async def _erase(journal: Journal, tenant: str, places: Sequence[int]) -> None:
    await together(journal.erase(tenant, seq) for seq in places)


async def together(erasing: Iterable[Awaitable[None]]) -> None:
    """Do all of it, as far as each can be done; raises the first refusal."""
    for refusal in await asyncio.gather(*erasing, return_exceptions=True):
        if refusal is not None:
            raise refusal
