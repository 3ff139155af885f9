"""`pointsman demo`: the same stream with no gate, the fixed rule, and the learned gate as it is shipped."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .agent import Step, work
from .gate import Gate, HttpGate, NoGate
from .report import Figures, Report, show
from .servers import Server
from .stream import Task, stream
from .world import CannotPlay, lay_out_tools

NONE, FIXED, LEARNED = "none", "fixed", "learned"
GATED: dict[str, dict[str, str]] = {
    FIXED: {"GATE_MODE": "apprentice", "APPRENTICE_SHARE": "0"},  # the rule acts, and nothing but the rule
    LEARNED: {},
}
MAX_TASKS = 10_000
STEPS_FILE = "steps.jsonl"


def play(*, seed: int, tasks: int, keep: bool, as_json: bool) -> None:
    """Play the stream with every gate and print what came of it.

    Raises:
      CannotPlay: something the demo needs is missing, or a server failed.
    """
    if not 1 <= tasks <= MAX_TASKS:
        raise CannotPlay(f"--tasks takes 1 to {MAX_TASKS}, not {tasks}")
    aside = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    with _ended_by_signal(), _scratch(keep=keep, aside=aside) as scratch:
        report = Demo(seed, stream(seed, tasks), scratch, aside).play()
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        show(report, Console())


class Demo:
    """One stream in one scratch folder, to be played with every gate."""

    def __init__(self, seed: int, tasks: Sequence[Task], scratch: Path, aside: Console) -> None:
        self._seed, self._tasks, self._scratch, self._aside = seed, tasks, scratch, aside
        self._tools = lay_out_tools(scratch / "tools")

    def play(self) -> Report:
        """Both servers load their models while the stream is played without them."""
        with ExitStack() as running, _progress(self._aside) as progress:
            servers = {name: running.enter_context(self._server(name)) for name in GATED}
            runs = [self._without_gate(_bar(progress, "no gate", len(self._tasks)))]
            for name, server in servers.items():
                runs.append(self._with_gate(name, server, _bar(progress, f"{name} gate", len(self._tasks))))
        return Report(seed=self._seed, tasks=len(self._tasks), runs=runs)

    def _server(self, name: str) -> Server:
        return Server(self._scratch / name, {**GATED[name], "SEED": str(self._seed)})

    def _without_gate(self, advance: Callable[[], None]) -> Figures:
        return Figures.of(NONE, self._through(NONE, NoGate(), advance), explored=0, latencies_ms=())

    def _with_gate(self, name: str, server: Server, advance: Callable[[], None]) -> Figures:
        with HttpGate(server, server.wait()) as gate:
            embedder = gate.embedder()
            if embedder["status"] != "ready":
                self._aside.print(f"{name}: the embedding model is not in use ({embedder['reason']})", style="yellow")
            played = self._through(name, gate, advance)
            return Figures.of(name, played, explored=gate.explored(), latencies_ms=gate.latencies_ms)

    def _through(self, name: str, gate: Gate, advance: Callable[[], None]) -> list[list[Step]]:
        """Every task in order; the steps are written down as they happen."""
        folder = self._scratch / name / "tasks"
        folder.mkdir(parents=True)
        played = []
        with (folder.parent / STEPS_FILE).open("wb") as log:
            for place, task in enumerate(self._tasks):
                steps = work(place, task, folder=folder, tools=self._tools, gate=gate, seed=self._seed)
                log.writelines(msgspec.json.encode(step) + b"\n" for step in steps)
                played.append(steps)
                advance()
        return played


@contextmanager
def _scratch(*, keep: bool, aside: Console) -> Iterator[Path]:
    """A fresh folder, removed afterwards unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="pointsman-demo-"))
    try:
        yield folder
    finally:
        if keep:
            aside.print(f"kept in {folder}: each gate's folder has its tasks, {STEPS_FILE}, server log and data")
            aside.print(f"look at it: pointsman serve --data-dir {folder / LEARNED / 'data'}")
            aside.print(f"      then: pointsman why TRACE, with a trace_id of {folder / LEARNED / STEPS_FILE}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """A termination, or a terminal that closes, ends the demo as an interrupt does: everything is cleared away."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _bar(progress: Progress, name: str, total: int) -> Callable[[], None]:
    bar = progress.add_task(name, total=total)
    return lambda: progress.advance(bar)
