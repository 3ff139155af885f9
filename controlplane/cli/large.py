"""A replay of exported decisions, for people and for machines."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .output import Bar, lines, show, table
from .program import INTERRUPTED, Failed

if TYPE_CHECKING:
    from strategist.evaluation import Target

    from ..replay.engine import Name
    from ..replay.shards import GroupReport, LargeReport

COLUMNS = ("tenant", "point", "valued", "learnt", "estimate", "value", "normal ~")


def replay(log: Path, target_of: "Callable[[str], Target]", engine: "Name", *, json: bool) -> None:
    """Say what a policy would have been worth at each tenant's point."""
    from ..replay.engines import named
    from ..replay.exported import groups
    from ..replay.shards import replay_files

    found = groups(log)
    try:
        with named(engine) as workers, Bar(f"replaying, engine {engine}", hidden=json) as bar:
            report = replay_files(found, target_of, workers, bar)
    except KeyboardInterrupt as error:
        raise Failed("interrupted; the same command begins anew", INTERRUPTED) from error
    show(msgspec.to_builtins(report), json, lambda: _told(report))
    if not any(group.report.values for group in report.groups):
        raise Failed("the log cannot tell what this policy is worth; why stands above")


def _told(report: "LargeReport") -> None:
    table([row for group in report.groups for row in _rows(group)], COLUMNS)
    for group in report.groups:
        lines(*(f"{group.tenant}, {group.point}: refused: {why}" for why in group.report.refused))
    lines(*report.left_out)


def _rows(group: "GroupReport") -> list[dict[str, Any]]:
    found = group.report
    head = {"tenant": group.tenant, "point": group.point, "valued": found.valued, "learnt": group.learnt[:8]}
    return [
        head
        | {
            "estimate": name,
            "value": f"{each.value:.6g}",
            "normal ~": f"{each.normal.low:.4g} to {each.normal.high:.4g}",
        }
        for name, each in {"the log itself": found.logged, **found.values}.items()
    ]
