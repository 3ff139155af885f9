"""What a run wants of its process: to hear what the log says of defects, and no search for garbage meanwhile."""

import contextlib
import gc
import logging
from collections.abc import Iterator
from typing import Any

import structlog

DEFECTS = ("background_tick_failed", "task_died", "internal_error")


@contextlib.contextmanager
def heard() -> Iterator[list[str]]:
    """Keeps what the log says of defects, and nothing else of it."""
    defects: list[str] = []

    def keep(logger: Any, method: str, said: Any) -> Any:
        if said["event"] in DEFECTS:
            defects.append(str(said))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
    )
    try:
        yield defects
    finally:
        structlog.reset_defaults()


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """What was there before is no garbage, and what becomes garbage meanwhile is looked for once, in the end."""
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.enable()
        gc.unfreeze()
