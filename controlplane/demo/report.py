"""The figures of a run, as JSON for machines, a table and one sentence for people."""

import statistics
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table

from .agent import FOLLOW, Step

TENTHS = 10


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
        cls, gate: str, played: Sequence[Sequence[Step]], *, explored: int, latencies_ms: Sequence[float]
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
            follow=FOLLOW,
            steps=sum(len(steps) for steps in played),
            latency_ms=Latency.of(latencies_ms),
            wasted_by_tenth=by_tenth,
        )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole demo: one stream, played once per gate."""

    seed: int
    tasks: int
    runs: list[Figures]

    def run(self, gate: str) -> Figures:
        return next(figures for figures in self.runs if figures.gate == gate)

    @property
    def sentence(self) -> str:
        """What the figures say, whichever way they point."""
        none, fixed, learned = (self.run(gate) for gate in ("none", "fixed", "learned"))
        return (
            f"Over {self.tasks} tasks the learned gate wasted {learned.wasted} steps: "
            f"{_against(learned.wasted, none.wasted)} no gate ({none.wasted}) and "
            f"{_against(learned.wasted, fixed.wasted)} the fixed rule ({fixed.wasted}); "
            f"it solved {learned.solved} tasks, against {none.solved} and {fixed.solved}."
        )


def _against(ours: int, theirs: int) -> str:
    if ours == theirs:
        return "as many as"
    if theirs == 0:
        return f"{ours} more than"
    share = abs(theirs - ours) / theirs
    return f"{share:.0%} {'fewer' if ours < theirs else 'more'} than"


def show(report: Report, console: Console) -> None:
    """The table, then the sentence."""
    table = Table("gate", title=f"{report.tasks} tasks of real commands, seed {report.seed}")
    for column in ("wasted", "solved", "false\nblocks", "explored", "steps", "answer\np50", "answer\np99"):
        table.add_column(column, justify="right", no_wrap=True)
    for figures in report.runs:
        table.add_row(*_row(figures, report.tasks))
    console.print(table)
    console.print(report.sentence, soft_wrap=True, highlight=False)


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
