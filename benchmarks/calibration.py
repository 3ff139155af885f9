"""`make bench-calibration`: the gate's risk against what happened in the demo's streams; draws docs/calibration.svg.

Each stream is played by the learned gate as it is shipped, over HTTP, with the real embedding model; the same case is
really run once (see remembered.py). A plan that was held back is run in a copy afterwards, so it is known what it would
have done. Where a hint was followed the plan never ran, and nothing is counted.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from math import inf
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
from rich.console import Console

from controlplane.demo.agent import Errand, Step, work
from controlplane.demo.gate import PROCEED, Answer, HttpGate, Question
from controlplane.demo.run import ended_by_signal
from controlplane.demo.servers import Server
from controlplane.demo.stream import stream
from controlplane.demo.world import lay_out_tools

from .remembered import Cases, RememberedGround

TASKS, FOLLOW, BINS = 600, 0.5, 10
EVIDENCE = {"0": (0, 1), "1-2": (1, 3), "3-9": (3, 10), "10-29": (10, 30), "30 and more": (30, inf)}  # outcomes
NOVELTY = {"0": (0.0, 1e-9), "up to .1": (1e-9, 0.1), ".1-.3": (0.1, 0.3), "above .3": (0.3, 1.1)}
DRAWN = Path(__file__).parents[1] / "docs" / "calibration.svg"


class Forecast(msgspec.Struct, frozen=True):
    """One judged plan: its risk as answered, what the rate of failure so far would have said, and whether it failed."""

    risk: float
    base: float
    evidence: int
    novelty: float
    verdict: str
    failed: bool

    @property
    def claim(self) -> tuple[float, bool]:
        """The answer's confidence, and whether its claim held: that it fails, or that it works where it is let go."""
        return (1.0 - self.risk, not self.failed) if self.verdict == PROCEED else (self.risk, self.failed)


class Bin(msgspec.Struct, frozen=True):
    """The plans whose risk lies in one tenth: how many, their mean risk, and the share that failed."""

    plans: int
    risk: float
    failed: float


class ListeningGate(HttpGate):
    """A gate that keeps what it was told."""

    def __init__(self, server: Server, url: str) -> None:
        super().__init__(server, url)
        self.said: list[dict[str, Any]] = []

    def ask(self, question: Question) -> Answer:
        answer = super().ask(question)
        self.said.append(answer.said)
        return answer


def failed(step: Step) -> bool | None:
    """Whether the plan failed, or would have; None where nobody knows."""
    if step.withheld_would_work is not None:
        return not step.withheld_would_work
    return not step.worked if step.ran == step.planned else None


def forecasts(said: Iterable[dict[str, Any]], steps: Iterable[Step]) -> list[Forecast]:
    """What was said of every plan whose end is known, in order."""
    found: list[Forecast] = []
    failures = 0
    for answer, step in zip(said, steps, strict=True):
        if (ended := failed(step)) is None:
            continue
        base = (failures + 1) / (len(found) + 2)
        found.append(Forecast(answer["risk"], base, answer["evidence"], answer["novelty"], step.verdict, ended))
        failures += ended
    return found


def brier(pairs: Sequence[tuple[float, bool]]) -> float:
    """Mean squared distance of a probability from what happened (Brier 1950)."""
    return statistics.fmean((probability - happened) ** 2 for probability, happened in pairs)


def binned(pairs: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Tenths of the unit interval that hold something."""
    tenths: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, happened in pairs:
        tenths[min(int(probability * BINS), BINS - 1)].append((probability, happened))
    return [
        Bin(len(held), statistics.fmean(p for p, _ in held), statistics.fmean(h for _, h in held))
        for held in tenths
        if held
    ]


def expected_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: how far risk and share lie apart, weighed by the plans of each bin."""
    return sum(bin.plans * abs(bin.risk - bin.failed) for bin in bins) / sum(bin.plans for bin in bins)


def figures(made: Sequence[Forecast]) -> dict[str, Any]:
    """Scores of the risk and, beside it, of the rate of failure so far."""
    risk, base = [(f.risk, f.failed) for f in made], [(f.base, f.failed) for f in made]
    return {
        "plans": len(made),
        "failed": round(statistics.fmean(f.failed for f in made), 4),
        "brier": round(brier(risk), 4),
        "brier_of_base_rate": round(brier(base), 4),
        "expected_calibration_error": round(expected_error(binned(risk)), 4),
        "expected_calibration_error_of_base_rate": round(expected_error(binned(base)), 4),
        "bins": [[b.plans, round(b.risk, 3), round(b.failed, 3)] for b in binned(risk)],
    }


def by_how_much_is_known(made: Sequence[Forecast]) -> dict[str, Any]:
    """Plans by evidence, and by novelty: how many, mean risk, the share that failed, the Brier score."""
    return {
        "evidence": {name: told(made, lambda f: f.evidence, *ends) for name, ends in EVIDENCE.items()},
        "novelty": {name: told(made, lambda f: f.novelty, *ends) for name, ends in NOVELTY.items()},
    }


def told(made: Sequence[Forecast], of: Callable[[Forecast], float], least: float, below: float) -> list[float]:
    """Of the plans of which that much is known; empty where there are none."""
    found = [f for f in made if least <= of(f) < below]
    if not found:
        return []
    mean = statistics.fmean
    risk, failed = mean(f.risk for f in found), mean(f.failed for f in found)
    return [len(found), round(risk, 3), round(failed, 3), round(brier([(f.risk, f.failed) for f in found]), 3)]


def claims(made: Sequence[Forecast]) -> dict[str, Any]:
    """By verdict: plans, mean confidence, and the share of its claims that held."""
    told: dict[str, list[tuple[float, bool]]] = {}
    for forecast in made:
        told.setdefault(forecast.verdict, []).append(forecast.claim)
    return {
        verdict: [
            len(said),
            round(statistics.fmean(c for c, _ in said), 3),
            round(statistics.fmean(h for _, h in said), 3),
        ]
        for verdict, said in sorted(told.items())
    }


def spread(streams: Sequence[Sequence[Forecast]]) -> dict[str, Any]:
    """Mean and standard deviation over streams: of the risk's Brier score, the base rate's, the difference."""
    risk = [brier([(f.risk, f.failed) for f in made]) for made in streams]
    base = [brier([(f.base, f.failed) for f in made]) for made in streams]
    both = {"brier": risk, "brier_of_base_rate": base, "difference": [r - b for r, b in zip(risk, base, strict=True)]}
    return {name: [round(statistics.fmean(of), 4), round(statistics.stdev(of), 4)] for name, of in both.items()}


def played(seed: int, cases: Cases, folder: Path) -> tuple[list[Forecast], int]:
    """One stream; its forecasts, and how many plans nobody knows the end of."""
    tools, steps = lay_out_tools(folder / "tools"), list[Step]()
    server = Server(folder / "server", {"SEED": str(seed)})
    with server, ListeningGate(server, server.wait(Event())) as gate:
        if gate.embedder()["status"] != "ready":
            raise server.failure("the embedding model is not in use")
        for place, task in enumerate(stream(seed, TASKS)):
            if task.scene.ports:
                steps += work(place, task, folder=folder, tools=tools, gate=gate, seed=seed, follow=FOLLOW)
            else:
                steps += Errand(place, task, RememberedGround(task, cases), gate, seed=seed, follow=FOLLOW).run()
        made = forecasts(gate.said, steps)
    return made, len(steps) - len(made)


def drawing(bins: Sequence[Bin]) -> str:
    """A reliability diagram: a dot per tenth on the diagonal is a risk that keeps its word; its area is its plans."""
    most = max(bin.plans for bin in bins)
    dots = "".join(_dot(bin, 2 + 12 * (bin.plans / most) ** 0.5) for bin in bins)
    ticks = "".join(
        f'<text x="{40 + 60 * n}" y="338" text-anchor="middle">{n / 5:g}</text>'
        f'<text x="32" y="{324 - 60 * n}" text-anchor="end">{n / 5:g}</text>\n'
        for n in range(6)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 370" font-family="sans-serif" font-size="11" fill="#333">
<rect width="360" height="370" fill="#fff"/>
<rect x="40" y="20" width="300" height="300" fill="none" stroke="#999"/>
<line x1="40" y1="320" x2="340" y2="20" stroke="#999" stroke-dasharray="4 3"/>
{ticks}<text x="190" y="360" text-anchor="middle">risk that was answered</text>
<text x="12" y="170" text-anchor="middle" transform="rotate(-90 12 170)">share that failed</text>
{dots}</svg>
"""


def _dot(bin: Bin, radius: float) -> str:
    return (
        f'<circle cx="{40 + 300 * bin.risk:.1f}" cy="{320 - 300 * bin.failed:.1f}" r="{radius:.1f}" fill="#2a6f97" '
        f'fill-opacity="0.75"><title>{bin.plans} plans: risk {bin.risk:.3f}, failed {bin.failed:.3f}</title></circle>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="streams, at least 2, seeds from 1 on (default 5)")
    parser.add_argument("--json", action="store_true", help="print JSON, and draw nothing")
    arguments = parser.parse_args()
    streams, unknown = list[list[Forecast]](), 0
    with ended_by_signal(), tempfile.TemporaryDirectory(prefix="pointsman-calibration-") as folder:
        cases = Cases(Path(folder) / "cases")
        for seed in range(1, arguments.seeds + 1):
            Console(stderr=True).print(f"playing seed {seed} ...")
            found, unjudged = played(seed, cases, Path(folder) / f"seed-{seed}")
            streams, unknown = [*streams, found], unknown + unjudged
    made = [forecast for found in streams for forecast in found]
    parts = {
        "all": made,
        "with_evidence": [f for f in made if f.evidence],
        "without": [f for f in made if not f.evidence],
    }
    scored: dict[str, Any] = {name: figures(part) for name, part in parts.items()}
    scored |= {
        "by": by_how_much_is_known(made),
        "unknown": unknown,
        "claims": claims(made),
        "over_streams": spread(streams),
    }
    print(json.dumps(scored, indent=None if arguments.json else 2))
    if not arguments.json:
        DRAWN.write_text(drawing(binned([(f.risk, f.failed) for f in made])), "utf-8")


if __name__ == "__main__":
    main()
