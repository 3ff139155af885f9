"""The fixed rule at its best: a coordinate search over its thresholds, on streams that no gates are compared on.

A setting is played by a real server, over HTTP, with the real embedding model, like the demo's own; what is spared is
running the same case twice (see remembered.py). One server plays all seeds of a setting. Before each seed it goes
back to the checkpoint of its empty start, and each seed has a namespace: nothing is known from the seed before.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controlplane.demo.agent import Errand, work
from controlplane.demo.gate import HttpGate
from controlplane.demo.report import FIXED_TUNED, Figures
from controlplane.demo.run import AT_ONCE, TUNED, ended_by_signal, fixed_rule
from controlplane.demo.servers import Ended, Server
from controlplane.demo.stream import stream
from controlplane.demo.world import lay_out_tools
from controlplane.settings import Settings

from .remembered import Cases, RememberedGround

SEEDS, TASKS, FOLLOW = (1001, 1002, 1003, 1004), 400, 0.5
NEVER = 2.0  # no similarity is above 1
GRID: dict[str, tuple[float, ...]] = {
    "block": (0.9, 0.97, NEVER),
    "skill": (0.85, 0.95, NEVER),
    "rewrite_precondition": (0.5, 0.7, 0.85, 1.0),
    "rewrite": (0.7, 0.8, 0.9, NEVER),
    "hint": (0.7, 0.8, 0.9, NEVER),
    "block_precondition": (0.7, 1.0),
}
ROUND = sum(len(values) - 1 for values in GRID.values())
SHIPPED = {name: float(getattr(Settings(), f"rule_{name}")) for name in GRID}

Thresholds = dict[str, float]
Meaning = tuple[float | None, ...]


class Trial(NamedTuple):
    """What the rule made of all seeds at one setting: the fewer wasted steps the better, then the more solved tasks."""

    at: Thresholds
    wasted: int
    solved: int

    @property
    def order(self) -> tuple[int, int]:
        return self.wasted, -self.solved


class SeedGate(HttpGate):
    """A gate that keeps what it is told to a namespace of the seed's own."""

    def __init__(self, server: Server, url: str, seed: int) -> None:
        super().__init__(server, url)
        self._namespace = {"namespace": f"seed-{seed}"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        divided = path in ("/v1/decisions", "/v1/capture")
        return super().call(method, path, {**(body or {}), **self._namespace} if divided else body)


class Trials:
    """Settings of the rule, each played once over all seeds, two settings at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._cases = folder, Cases(folder / "cases")
        self._streams = {seed: stream(seed, TASKS) for seed in SEEDS}
        self._known: dict[Meaning, Trial] = {}
        self._over = Event()

    def of(self, settings: Sequence[Thresholds]) -> Iterator[Trial]:
        """Of each setting in turn; an interrupt, or an error in one, ends the others at their next task."""
        new = {meaning(at): at for at in settings if meaning(at) not in self._known}
        with ThreadPoolExecutor(AT_ONCE, "player") as players:
            try:
                played = {meant: players.submit(self._played, at) for meant, at in new.items()}
                for at in settings:
                    meant = meaning(at)
                    if meant not in self._known:
                        self._known[meant] = played[meant].result()
                    yield self._known[meant]
            except BaseException:
                self._over.set()
                raise

    @property
    def best_first(self) -> list[Trial]:
        return sorted(self._known.values(), key=lambda trial: trial.order)

    def _played(self, at: Thresholds) -> Trial:
        folder = Path(tempfile.mkdtemp(prefix="setting-", dir=self._folder))
        with Server(folder / "server", fixed_rule(at)) as server:
            url = server.wait(self._over)
            with HttpGate(server, url) as gate:
                if gate.embedder()["status"] != "ready":
                    raise server.failure("the embedding model is not in use")
                empty = gate.call("POST", "/v1/checkpoints", {})["checkpoint_id"]
            figures = []
            for seed in SEEDS:
                with SeedGate(server, url, seed) as gate:
                    gate.call("POST", f"/v1/checkpoints/{empty}/restore")
                    figures.append(self._through(seed, gate, folder / f"seed-{seed}"))
        return Trial(at=at, wasted=sum(f.wasted for f in figures), solved=sum(f.solved for f in figures))

    def _through(self, seed: int, gate: HttpGate, folder: Path) -> Figures:
        """One seed's stream from an empty start."""
        tools, played = lay_out_tools(folder / "tools"), []
        for place, task in enumerate(self._streams[seed]):
            if self._over.is_set():
                raise Ended
            if task.scene.ports:
                steps = work(place, task, folder=folder, tools=tools, gate=gate, seed=seed, follow=FOLLOW)
            else:
                ground = RememberedGround(task, self._cases)
                steps = Errand(place, task, ground, gate, seed=seed, follow=FOLLOW).run()
            played.append(steps)
        return Figures.of(FIXED_TUNED, played, follow=FOLLOW, explored=0, latencies_ms=())


def meaning(at: Thresholds) -> Meaning:
    """Equal for settings that cannot differ: how well conditions fit is not asked where the verdict never comes."""
    idle = {"block_precondition"} if at["block"] >= NEVER else set()
    if at["rewrite"] >= NEVER and at["skill"] >= NEVER:
        idle.add("rewrite_precondition")
    return tuple(None if name in idle else at[name] for name in GRID)


def search(trials: Trials, progress: Progress) -> Trial:
    """From the shipped thresholds: each in turn to its best value, until a whole round changes none."""
    line = progress.add_task("as shipped", total=1)
    (best,), begun = trials.of([SHIPPED]), None
    progress.advance(line)
    while begun != best:
        begun, line = best, progress.add_task(f"from {best.wasted} wasted", total=ROUND)
        for name, values in GRID.items():
            for trial in trials.of([best.at | {name: value} for value in values if value != best.at[name]]):
                progress.console.print(f"{trial.wasted} wasted, {trial.solved} solved: {_row(trial.at)}")
                progress.advance(line)
                best = min(best, trial, key=lambda trial: trial.order)
    return best


def tune() -> Trial:
    """Search, and write down what was found and how."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with ended_by_signal(), tempfile.TemporaryDirectory(prefix="pointsman-tuning-") as folder:
        trials = Trials(Path(folder))
        with Progress(*columns, console=console) as progress:
            best = search(trials, progress)
    TUNED.write_text(written(best, trials.best_first), "utf-8")
    return best


def written(best: Trial, tried: Sequence[Trial]) -> str:
    """The file the demo takes the thresholds from."""
    rows = "".join(f"    {{ wasted = {t.wasted}, solved = {t.solved}, {_row(t.at)} }},\n" for t in tried)
    return f"""\
# The fixed rule at its best. Written by `make bench-demo`, never by hand: from the shipped thresholds on, each in turn
# was moved to its best value on the grid, until a whole round changed none. Best is what wasted the fewest steps over
# all seeds, and of those what solved the most tasks. 2.0 means never. Gates are compared on other seeds.

[thresholds]
{_lines(best.at)}
[search]
seeds = {list(SEEDS)}
tasks = {TASKS} # of each seed
follow = {FOLLOW}
tried = [ # best first
{rows}]

[search.grid]
{_lines({name: list(values) for name, values in GRID.items()})}"""


def _lines(table: Mapping[str, object]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in table.items())


def _row(at: Thresholds) -> str:
    return ", ".join(f"{name} = {value}" for name, value in at.items())
