"""`make bench-demo`: the rule's best thresholds, found on seeds of their own, then the gates compared over others.

`tune` searches and writes controlplane/demo/tuned.toml; see tuning.py for what it remembers. `compare` plays the
demo itself, where every command really runs, once per seed and share of hints that are followed, one seed at a time:
a demo plays two runs at once and so keeps two cores busy by itself. Differences are paired, for all gates play the
same tasks; their intervals are Student's t over the seeds.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from controlplane.demo.report import LEARNED, SPOKEN, Report
from controlplane.demo.run import experiment

from . import tuning

FIGURES = ("wasted", "solved", "false_blocks", "exploration_interventions")
HEADINGS = ("wasted", "solved", "false blocks", "explored")
PAIRED = ("wasted", "solved")
GATES = (*SPOKEN, LEARNED)
PARTS = ("tune", "compare")
# 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the last is used, which is a little wide.
T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


class Difference(msgspec.Struct, frozen=True):
    """Mean of paired differences and its 95 % interval; of one pair there is none."""

    mean: float
    low: float | None
    high: float | None

    @classmethod
    def of(cls, differences: Sequence[float]) -> "Difference":
        mean, pairs = statistics.fmean(differences), len(differences)
        if pairs == 1:
            return cls(mean, None, None)
        half = T_975[min(pairs - 1, len(T_975)) - 1] * statistics.stdev(differences) / math.sqrt(pairs)
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        interval = "" if self.low is None else f" [{self.low:+.1f}, {self.high:+.1f}]"
        return f"{self.mean:+.1f}{interval}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One gate at one share: means over the seeds, and what the learned gate makes different."""

    follow: float
    gate: str
    seeds: int
    means: dict[str, float]
    learned_minus: dict[str, Difference] | None


def compare(seeds: Sequence[int], follows: Sequence[float], tasks: int, kept: Path | None) -> list[Report]:
    """The demo of every seed at every share; reports that were kept before are not played again."""
    aside = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    known = {_key(report): report for report in _read(kept)}
    reports = []
    for follow in follows:
        for seed in seeds:
            if (report := known.get((seed, tasks, follow))) is None:
                report = _played(seed, follow, tasks, aside)
                if kept:
                    with kept.open("ab") as file:
                        file.write(msgspec.json.encode(report) + b"\n")
            reports.append(report)
    return reports


def _read(kept: Path | None) -> list[Report]:
    if kept is None or not kept.exists():
        return []
    return [msgspec.json.decode(line, type=Report) for line in kept.read_bytes().splitlines()]


def _key(report: Report) -> tuple[int, int, float]:
    return report.seed, report.tasks, report.runs[0].follow


def _played(seed: int, follow: float, tasks: int, aside: Console) -> Report:
    begun = time.monotonic()
    report = experiment(seed=seed, tasks=tasks, follow=follow, keep=False, aside=aside)
    runs = "; ".join(f"{run.gate} {run.wasted} wasted, {run.solved} solved" for run in report.runs)
    aside.print(f"seed {seed}, follow {follow:g}, {time.monotonic() - begun:.0f} s: {runs}")
    return report


def summary(reports: Sequence[Report]) -> list[Row]:
    """A row per share and gate."""
    follows = dict.fromkeys(report.runs[0].follow for report in reports)
    return [_row([r for r in reports if r.runs[0].follow == follow], gate) for follow in follows for gate in GATES]


def _row(reports: Sequence[Report], gate: str) -> Row:
    runs = [(report.run(LEARNED), report.run(gate)) for report in reports]
    differences = {
        name: Difference.of([getattr(learned, name) - getattr(run, name) for learned, run in runs]) for name in PAIRED
    }
    return Row(
        follow=reports[0].runs[0].follow,
        gate=gate,
        seeds=len(reports),
        means={name: statistics.fmean(getattr(run, name) for _, run in runs) for name in FIGURES},
        learned_minus=None if gate == LEARNED else differences,
    )


def show(reports: Sequence[Report], *, markdown: bool) -> None:
    """Every run; means over the seeds; what the learned gate makes different."""
    console, style = (Console(width=1000), box.MARKDOWN) if markdown else (Console(), box.SIMPLE_HEAD)
    for table in (_runs(reports), _means(summary(reports)), _differences(summary(reports))):
        table.box = style
        console.print(table)


def _runs(reports: Sequence[Report]) -> Table:
    table = _table("follow", "seed", "gate", *HEADINGS)
    for report in reports:
        for run in report.runs:
            figures = [str(getattr(run, name)) for name in FIGURES]
            table.add_row(f"{run.follow:g}", str(report.seed), run.gate, *figures)
    return table


def _means(rows: Sequence[Row]) -> Table:
    table = _table("follow", "seeds", "gate", *HEADINGS)
    for row in rows:
        table.add_row(f"{row.follow:g}", str(row.seeds), row.gate, *(f"{row.means[name]:.1f}" for name in FIGURES))
    return table


def _differences(rows: Sequence[Row]) -> Table:
    table = _table("follow", "seeds", "learned minus", *PAIRED)
    for row in rows:
        if row.learned_minus:
            differences = [str(row.learned_minus[name]) for name in PAIRED]
            table.add_row(f"{row.follow:g}", str(row.seeds), row.gate, *differences)
    return table


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, justify="right" if column in HEADINGS else "left", no_wrap=True)
    return table


def main() -> None:
    arguments = _arguments()
    if "tune" in arguments.parts:
        tuning.tune()
    if "compare" in arguments.parts:
        reports = compare(arguments.seeds, arguments.follow, arguments.tasks, arguments.reports)
        if arguments.json:
            found = msgspec.json.encode({"reports": reports, "summary": summary(reports)})
            sys.stdout.write(msgspec.json.format(found).decode() + "\n")
        else:
            show(reports, markdown=arguments.markdown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description="Tune the rule; compare the gates.")
    parser.add_argument("parts", nargs="*", type=_part, default=PARTS, help="tune, compare; both by default")
    parser.add_argument("--seeds", type=_seeds, default=_seeds("1-10"), help="what is compared: 1-10, or 3,5")
    parser.add_argument("--follow", type=_shares, default=[0.5], help="probabilities to follow a hint: .25,.5,1")
    parser.add_argument("--tasks", type=int, default=600, help="of each compared stream (600)")
    parser.add_argument("--reports", type=Path, help="keep each report in this file, and play none twice")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print JSON")
    shown.add_argument("--markdown", action="store_true", help="print the tables for a README")
    return parser.parse_args()


def _part(given: str) -> str:
    if given not in PARTS:
        raise argparse.ArgumentTypeError(f"the parts are {' and '.join(PARTS)}")
    return given


def _seeds(given: str) -> list[int]:
    first, _, last = given.partition("-")
    seeds = list(range(int(first), int(last) + 1)) if last else [int(seed) for seed in given.split(",")]
    if set(seeds) & set(tuning.SEEDS):
        raise argparse.ArgumentTypeError(f"the rule was tuned on {tuning.SEEDS}")
    return seeds


def _shares(given: str) -> list[float]:
    return [float(share) for share in given.split(",")]


if __name__ == "__main__":
    main()
