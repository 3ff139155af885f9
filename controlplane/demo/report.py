"""The figures of a run, as JSON for machines; as a table, a small chart and sentences for people."""

import math
import statistics
from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from .agent import Step
from .memories import Memories
from .purse import Purse

NONE, FIXED, FIXED_TUNED, LEARNED = "none", "fixed", "fixed_tuned", "learned"
SPOKEN = {NONE: "no gate", FIXED: "the fixed rule", FIXED_TUNED: "the fixed rule at its best thresholds"}
TENTHS = 10
HEIGHTS, PLAIN_HEIGHTS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


class Latency(msgspec.Struct, frozen=True):
    """Of the gate's answers as the agent felt them, in milliseconds; nothing where nobody was asked."""

    p50: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, samples_ms: Sequence[float]) -> "Latency":
        if len(samples_ms) < 2:
            return cls(*[round(sample, 2) for sample in samples_ms] * 2)
        cuts = statistics.quantiles(samples_ms, n=100, method="inclusive")
        return cls(round(cuts[49], 2), round(cuts[98], 2))


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What one gate made of the stream."""

    gate: str
    wasted: int
    solved: int
    false_blocks: int
    exploration_interventions: int
    follow: float
    steps: int
    latency_ms: Latency
    wasted_by_tenth: list[int]

    @classmethod
    def of(
        cls,
        gate: str,
        played: Sequence[Sequence[Step]],
        *,
        follow: float,
        explored: int,
        latencies_ms: Sequence[float],
    ) -> "Figures":
        """Count what happened, task by task."""
        by_tenth = [0] * TENTHS
        for place, steps in enumerate(played):
            by_tenth[place * TENTHS // len(played)] += sum(step.wasted for step in steps)
        return cls(
            gate=gate,
            wasted=sum(by_tenth),
            solved=sum(steps[-1].worked for steps in played),
            false_blocks=sum(step.false_block for steps in played for step in steps),
            exploration_interventions=explored,
            follow=follow,
            steps=sum(len(steps) for steps in played),
            latency_ms=Latency.of(latencies_ms),
            wasted_by_tenth=by_tenth,
        )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole demo: one stream, played once per gate; and what the learned gate's reflections cost."""

    seed: int
    tasks: int
    runs: list[Figures]
    purse: Purse
    memories: Memories

    def run(self, gate: str) -> Figures:
        return next(figures for figures in self.runs if figures.gate == gate)

    @property
    def sentences(self) -> list[str]:
        """What the figures say, whichever way they point."""
        learned, others = self.run(LEARNED), [self.run(gate) for gate in SPOKEN]
        wasted = [f"{_share(learned.wasted, run.wasted)} {SPOKEN[run.gate]} ({run.wasted})" for run in others]
        solved = [f"{_difference(learned.solved, run.solved)} {SPOKEN[run.gate]}" for run in others]
        return [
            f"Over {self.tasks} tasks the learned gate wasted {learned.wasted} steps: {_listed(wasted)}.",
            f"It solved {learned.solved} tasks: {_listed(solved)}.",
            self.purse.sentence,
            self.memories.sentence,
            "These are the figures of one stream; another seed gives others.",
        ]


def _share(ours: int, theirs: int) -> str:
    if theirs == 0 or ours == theirs:
        return _difference(ours, theirs)
    return f"{abs(theirs - ours) / theirs:.0%} {'fewer' if ours < theirs else 'more'} than"


def _difference(ours: int, theirs: int) -> str:
    if ours == theirs:
        return "as many as"
    return f"{abs(theirs - ours)} {'fewer' if ours < theirs else 'more'} than"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def show(report: Report, console: Console) -> None:
    """The table, the chart, then the sentences."""
    follow = f"a hint is followed with probability {report.runs[0].follow:g}"
    console.print(f"{report.tasks} tasks of real commands, seed {report.seed}; {follow}", highlight=False)
    console.print(_table(report))
    console.print("wasted steps per tenth of the stream")
    for line in chart(report.runs, PLAIN_HEIGHTS if console.options.ascii_only else HEIGHTS):
        console.print(line, highlight=False)
    console.print()
    for sentence in report.sentences:
        console.print(sentence, highlight=False)
    if report.memories.compared:
        console.print("memories of the learned gate by how they moved the rate of success, the best and the worst")
        console.print(report.memories.table())


def _table(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("gate", no_wrap=True)
    for column in ("wasted", "solved", "false\nblocks", "explored", "steps", "answer\np50", "answer\np99"):
        table.add_column(column, justify="right", no_wrap=True)
    for figures in report.runs:
        table.add_row(*_row(figures, report.tasks))
    return table


def chart(runs: Sequence[Figures], heights: str) -> list[str]:
    """One line per gate: a bar and a number per tenth, all bars to one scale."""
    most = max(1, *(wasted for run in runs for wasted in run.wasted_by_tenth))
    wide = len(str(most))
    lines = []
    for run in runs:
        bars = [heights[math.ceil(wasted / most * (len(heights) - 1))] * 2 for wasted in run.wasted_by_tenth]
        cells = [f"{bar}{wasted:>{wide + 1}}" for bar, wasted in zip(bars, run.wasted_by_tenth, strict=True)]
        lines.append(f"  {run.gate:<11} {' '.join(cells)}")
    return lines


def _row(figures: Figures, tasks: int) -> tuple[str, ...]:
    return (
        figures.gate,
        str(figures.wasted),
        f"{figures.solved}/{tasks}",
        str(figures.false_blocks),
        str(figures.exploration_interventions),
        str(figures.steps),
        _ms(figures.latency_ms.p50),
        _ms(figures.latency_ms.p99),
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"
