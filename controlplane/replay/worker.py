"""A replay in a process of its own: asked on standard input, told on standard output, a JSON document per line."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from strategist.evaluation import Report

from ..errors import PointsmanError, UnusableLog
from ..whole_log import opened
from .policy_file import policy_of
from .run import replay
from .unfinished import Unfinished, fingerprint
from .window import Window, read_window

NICE = 10  # whoever decides goes first
STEP = 200  # decisions between two lines


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be replayed, from which data folder; `blocks` is where finished ones are kept."""

    folder: str
    database_url: str | None = None  # of replicas, whose journal is there
    window: Window
    policy: dict[str, Any]
    blocks: str


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line: how far it is, and in the last one the report or why there is none."""

    done: int = 0
    of: int = 0
    why: str | None = None
    report: Report | None = None


def tell(told: Told) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def progress(done: int, of: int) -> None:
    if done % STEP == 0 or done == of:
        tell(Told(done=done, of=of))


async def carry_out(order: Order) -> Report:
    """The report, from the finished blocks on; damaged ones are made again.

    Raises:
      PointsmanError: the window, the policy or the journal cannot be used.
    """
    folder = Path(order.folder)
    async with opened(folder, order.database_url) as (journal, origin):
        log = await read_window(journal, origin, order.window, progress)
    target = policy_of(order.policy)
    unfinished = Unfinished(Path(order.blocks), fingerprint(log.decisions, target))
    try:
        unfinished.read()
    except UnusableLog:  # nobody else can delete it
        unfinished.remove()
    return replay(log, target, lambda done, of: tell(Told(done=done, of=of)), unfinished)


def main() -> None:
    """Carry the order on standard input out."""
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        tell(Told(report=asyncio.run(carry_out(order))))
    except PointsmanError as error:
        tell(Told(why=str(error)))


if __name__ == "__main__":
    main()
