"""Offline policy replay as a command."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from .. import settings
from ..settings import Settings
from . import large
from .output import Bar, lines, show, table, told_weights
from .program import INTERRUPTED, Failed, Flag, Json, Some, app

if TYPE_CHECKING:
    from strategist.evaluation import Front, Report, Target
    from strategist.evaluation.front import Point

    from ..replay.engine import Name
    from ..replay.log import Log

SHOWN = 3  # points of a grid of which it is told why they have no figures


@app.command(name="replay")
def replay_command(
    *,
    log: Path | None = None,
    policy: Path | None = None,
    point: str | None = None,
    tenant: str = "default",
    first: Annotated[Some | None, Parameter(name="--from")] = None,
    last: Annotated[Some | None, Parameter(name="--to")] = None,
    decisions: Some | None = None,
    skip_bad_rows: Flag = False,
    grid: Path | None = None,
    svg: Path | None = None,
    engine: Literal["local", "process", "ray"] | None = None,
    data_dir: str | None = None,
    json: Json = False,
) -> None:
    """Say what another policy would have been worth on logged decisions, or why the log cannot tell.

    Args:
      log: A log file: .csv, .jsonl, .ndjson, .parquet or .dsjson; or exported decisions, as a folder or a pattern of
        files; by default the journal of the data folder.
      policy: The policy, as TOML or JSON; by default the one that the settings say.
      point: The decision point, `gate` or `route`; needed for the journal.
      tenant: Whose decisions of the journal.
      first: The first event of the journal's window.
      last: The last event of the journal's window.
      decisions: Only the newest so many of the window.
      skip_bad_rows: Leave out rows of the log that cannot be used, and say how many.
      grid: A grid of weights, as TOML or JSON: what each buys in success, cost and latency, instead of the report.
      svg: Where to draw that.
      engine: Where exported decisions are worked on: here, in a process for each core, or by workers of Ray.
      data_dir: The data folder; by default what the settings say.
    """
    from ..replay.files import read_log
    from ..replay.grid import read_grid

    _refuse_contradictions(log, grid, svg, (first, last, decisions))
    chosen = settings.load(overrides={"data_dir": data_dir})
    if exported := _exported(log, engine, one_log=grid is not None or skip_bad_rows or point is not None):
        large.replay(exported, lambda of: _target(policy, chosen, of), engine or "local", json=json)
        return
    target = _target(policy, chosen, point)
    tried = None if grid is None else read_grid(grid)
    with Bar("reading the log", hidden=json) as bar:
        if log is not None:
            weighed = target if tried is None or target.weights else msgspec.structs.replace(target, weights=tried[0])
            read = read_log(log, weighed, skip_bad_rows=skip_bad_rows)
        else:
            window = {"tenant": tenant, "first": first or 1, "last": last, "newest": decisions}
            read = asyncio.run(_journal(chosen, point, window, bar))
    if tried is not None:
        _grid(tried, svg, read, target, json=json)
        return
    report = _replayed(read, target, hidden=json)
    show(msgspec.to_builtins(report), json, lambda: _told(report))
    if report.refused:
        raise Failed("the log cannot tell what this policy is worth; why stands above")


def _replayed(read: "Log", target: "Target", *, hidden: bool) -> "Report":
    """The report; an interrupt keeps the finished blocks."""
    from ..replay.run import replay
    from ..replay.unfinished import Unfinished, fingerprint

    of = fingerprint(read.decisions, target)
    unfinished = Unfinished(Path(f"pointsman-replay-{of}.part"), of)
    try:
        with Bar("replaying", hidden=hidden) as bar:
            return replay(read, target, bar, unfinished)
    except KeyboardInterrupt as error:
        kept = f"finished blocks are kept in {unfinished.path}; the same command goes on from there"
        raise Failed(f"interrupted; {kept}", INTERRUPTED) from error


def _refuse_contradictions(log: Path | None, grid: Path | None, svg: Path | None, window: Sequence[int | None]) -> None:
    """What was asked for and would be passed over."""
    first, last, _ = window
    if svg is not None and grid is None:
        raise Failed("--svg draws what the weights of a grid buy; name one with --grid")
    if log is not None and any(window):
        raise Failed("--from, --to and --decisions choose from the journal; the file of --log is replayed whole")
    if first is not None and last is not None and first > last:
        raise Failed(f"no event lies from {first} to {last}; give the first one with --from and the last with --to")


def _exported(log: Path | None, engine: "Name | None", *, one_log: bool) -> Path | None:
    """Exported decisions, where --log names some. Raises Failed for an option that would be passed over."""
    from ..replay.exported import is_exported

    exported = log if log is not None and is_exported(log) else None
    if exported is not None and one_log:
        raise Failed("--grid, --skip-bad-rows and --point are for one log; choose exported files by a pattern")
    if exported is None and engine is not None:
        raise Failed("--engine works on exported decisions; name their folder, or a pattern of it, with --log")
    return exported


def _grid(grid: list[dict[str, float]], svg: Path | None, read: "Log", target: "Target", *, json: bool) -> None:
    """The front of a grid's policies."""
    from ..replay.drawing import drawing
    from ..replay.grid import front

    with Bar("replaying the grid", hidden=json) as bar:
        found = front(read, target, grid, bar)
    show(msgspec.to_builtins(found), json, lambda: _front_told(found))
    if svg is not None:
        try:
            svg.write_text(drawing(found), "utf-8")
        except OSError as error:
            raise Failed(f"{svg} cannot be written: {error.strerror}") from error


def _front_told(found: "Front") -> None:
    """The front for people: those that nobody beats in everything, and the one in force."""
    lines(
        f"{len(found.points)} policies, compared on {found.compared_on} decisions, "
        f"reported on {found.reported_on} later ones"
    )
    shown = [point for point in found.points if point.on_front or point.in_force]
    rows = [
        {
            "point": point.number,
            "weights": told_weights(point.weights),
            "in force": "yes" if point.in_force else "",
            "on the front": "yes" if point.on_front else "",
            **{name: _reported(point, name) for name in found.objectives},
        }
        for point in shown
    ]
    table(rows, ("point", "weights", "in force", "on the front", *found.objectives))
    lines(*(f"the policy in force: {point.refused[0]}" for point in found.points if point.refused and point.in_force))
    refused = [point for point in found.points if point.refused]
    lines(*([f"{len(refused)} policies cannot be judged by this log, for example:"] if refused else []))
    lines(*(f"- point {point.number}: {point.refused[0]}" for point in refused[:SHOWN]))


def _reported(point: "Point", objective: str) -> str:
    told = point.reported.get(objective)
    return "" if told is None else f"{told.value:.4g} ({told.normal.low:.3g} to {told.normal.high:.3g})"


def _target(policy: Path | None, chosen: Settings, point: str | None) -> "Target":
    from auditor.rewards import DEFAULT_WEIGHTS
    from strategist.evaluation import Target

    from ..replay.policy_file import read_policy
    from ..rulebook import rules_of

    rules = rules_of(chosen, dict.fromkeys(DEFAULT_WEIGHTS, "")).points
    in_force = rules[point if point in rules else "route"].policy
    return Target(settings=in_force) if policy is None else read_policy(policy, in_force)


async def _journal(chosen: Settings, point: str | None, window: dict[str, Any], bar: Bar) -> "Log":
    from ..replay.window import Window, read_window
    from ..whole_log import opened

    if point is None:
        raise Failed("say which decisions: --point gate, route or capture, or a file with --log")
    async with opened(Path(chosen.data_dir), chosen.database_url) as (journal, origin):
        return await read_window(journal, origin, Window(point=point, **window), bar)


def _told(report: "Report") -> None:
    """The report for people: doubts first, then figures."""
    found = report.diagnostics
    lines(
        f"{report.decisions} decisions; {report.learnt_first} only learnt from, {report.valued} valued in "
        f"{len(report.blocks)} blocks, each by what was learnt before it",
        f"effective sample size {found.effective:.0f} · largest weight {found.largest_weight:.3g} · mean weight "
        f"{found.mean_weight:.3f} · without support {found.unsupported:.2%}",
        "",
    )
    if report.refused:
        lines(*(f"refused: {why}" for why in report.refused), "")
    table([_row("the log itself", report.logged), *(_row(n, e) for n, e in report.values.items())], VALUE)
    if report.lacking:
        lines("States in which the policy takes what the log could not:")
        table(
            [{**msgspec.structs.asdict(lack), "actions": ", ".join(lack.actions)} for lack in report.lacking], LACKING
        )
    if report.tasks is not None:
        lines(f"{report.tasks.tasks} whole tasks of up to {report.tasks.longest} decisions, discounted:")
        lines(*(f"refused: {why}" for why in report.tasks.refused))
        every = [_row("the log itself", report.tasks.logged), *(_row(n, e) for n, e in report.tasks.values.items())]
        table(every, VALUE)
    lines("Block by block:")
    table([msgspec.structs.asdict(block) | _rounded(block) for block in report.blocks], BLOCK)
    if report.beside:
        lines("Beside it (snips):")
        table([_beside(name, beside) for name, beside in report.beside.items()], BESIDE)
    different = report.differences
    lines(f"{different.decisions} decisions ({different.share:.0%}) would differ, for example:")
    table([msgspec.structs.asdict(example) for example in different.examples], ("row", "state", "logged", "now"))
    lines(*(["What the log cannot answer:"] if report.cannot else []), *(f"- {said}" for said in report.cannot))


VALUE = ("estimate", "value", "normal ~", "bootstrap ~", "anytime")
LACKING = ("state", "decisions", "actions", "probability")
BLOCK = ("first_row", "last_row", "learnt", "effective", "logged", "ips", "snips", "dr")
BESIDE = ("of", "decisions", "policy", "logged")


def _row(name: str, of: Any) -> dict[str, str]:
    ends = {"normal ~": of.normal, "bootstrap ~": of.bootstrap, "anytime": of.anytime}
    spans = {what: "" if end is None else f"{end.low:.3g} to {end.high:.3g}" for what, end in ends.items()}
    return {"estimate": name, "value": f"{of.value:.4g}", **spans}


def _rounded(block: Any) -> dict[str, str]:
    figures = {name: getattr(block, name) for name in ("effective", "logged", "ips", "snips", "dr")}
    return {name: "" if figure is None else f"{figure:.4g}" for name, figure in figures.items()}


def _beside(name: str, of: Any) -> dict[str, Any]:
    policy = "" if of.policy is None else f"{of.policy.value:.4g}"
    return {"of": name, "decisions": of.decisions, "policy": policy, "logged": f"{of.logged.value:.4g}"}
