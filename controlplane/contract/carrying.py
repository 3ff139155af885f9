"""Memories that are carried from one installation or tenant to another."""

from typing import Annotated

from msgspec import Meta

from auditor.provenance import Provenance

from .memory import CaptureRequest
from .wire import Answer, Request

MOST_CARRIED = 100  # episodes of one page


class CarriedEpisode(Request, frozen=True, kw_only=True):
    """An episode as it would be captured, and where it comes from."""

    episode: CaptureRequest
    provenance: Provenance


class CarryRequest(Request, frozen=True, kw_only=True):
    """Episodes to take in."""

    episodes: Annotated[tuple[CarriedEpisode, ...], Meta(max_length=MOST_CARRIED)]


class CarryAnswer(Answer, frozen=True, kw_only=True):
    """The episodes that were made, and how many were there already."""

    episode_ids: tuple[int, ...]
    duplicates: int


class CarriedAnswer(Answer, frozen=True, kw_only=True):
    """A page of a tenant's episodes, of so many in all; `next` leads to the next page, null from the last."""

    episodes: tuple[CarriedEpisode, ...]
    total: int
    next: int | None
