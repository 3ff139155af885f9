"""`pointsman demo`: one stream with no gate, the fixed rule, the rule at its best thresholds, and the learned gate.

Two runs are played at a time, each by a thread of its own: what takes time is commands and servers.
"""

import shutil
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .agent import Step, work
from .gate import Gate, HttpGate, NoGate
from .memories import Memories
from .purse import Models, Purse
from .report import FIXED, FIXED_TUNED, LEARNED, NONE, Figures, Report, show
from .servers import Ended, Server
from .stream import Task, stream
from .world import CannotPlay, lay_out_tools

TUNED = Path(__file__).with_name("tuned.toml")
MAX_TASKS = 10_000
AT_ONCE = 2
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the first too: in the background a shell has it ignored
STEPS_FILE, MODELS = "steps.jsonl", "models"


def play(*, seed: int, tasks: int, follow: float, keep: bool, as_json: bool) -> None:
    """Play the stream with every gate and print what came of it.

    Raises:
      CannotPlay: something the demo needs is missing, or a server failed.
    """
    aside = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    report = experiment(seed=seed, tasks=tasks, follow=follow, keep=keep, aside=aside)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report)).decode() + "\n")
    else:
        show(report, Console())


def experiment(*, seed: int, tasks: int, follow: float, keep: bool, aside: Console) -> Report:
    """The stream, really played with every gate.

    Raises:
      CannotPlay: something the demo needs is missing, or a server failed.
    """
    if not 1 <= tasks <= MAX_TASKS:
        raise CannotPlay(f"--tasks takes 1 to {MAX_TASKS}, not {tasks}")
    if not 0.0 <= follow <= 1.0:
        raise CannotPlay(f"--follow takes a probability, 0 to 1, not {follow:g}")
    try:
        with ended_by_signal(), _scratch(keep=keep, aside=aside) as scratch:
            return Demo(seed, stream(seed, tasks), follow, scratch, aside).play()
    except OSError as error:
        raise CannotPlay(f"the scratch folder cannot be used ({error}); point TMPDIR to one with some space") from error


def fixed_rule(thresholds: Mapping[str, float]) -> dict[str, str]:
    """The settings with which the rule acts, at these thresholds, and nothing but the rule."""
    apprentice = {"GATE_MODE": "apprentice", "APPRENTICE_SHARE": "0", "AUDIT_SHARE": "0", "WITHHELD_SHARE": "0"}
    return apprentice | {f"RULE_{name.upper()}": str(value) for name, value in thresholds.items()}


def gated() -> dict[str, dict[str, str]]:
    """What each server is told, apart from its seed."""
    tuned = tomllib.loads(TUNED.read_text("utf-8"))["thresholds"]
    return {FIXED: fixed_rule({}), FIXED_TUNED: fixed_rule(tuned), LEARNED: {}}


class Demo:
    """One stream in one scratch folder, to be played with every gate."""

    def __init__(self, seed: int, tasks: Sequence[Task], follow: float, scratch: Path, aside: Console) -> None:
        self._seed, self._tasks, self._follow, self._scratch, self._aside = seed, tasks, follow, scratch, aside
        self._settings = gated()
        self._tools = {name: lay_out_tools(scratch / "tools" / name) for name in (NONE, *self._settings)}
        self._over = Event()
        self._purse: Purse | None = None
        self._memories: Memories | None = None

    def play(self) -> Report:
        """The servers load their models while the stream is played without them.

        An interrupt, or an error in one run, ends the others at their next step, and then the servers.
        """
        with self._servers() as servers, _progress(self._aside) as progress:
            bars = {name: _Bar(progress, name, len(self._tasks)) for name in self._tools}
            with self._players() as players:
                runs = [players.submit(self._run, name, servers.get(name), bar) for name, bar in bars.items()]
                done, _ = wait(runs, return_when=FIRST_EXCEPTION)
                figures = [run.result() for run in runs if run in done]  # raises what went wrong
        purse, memories = self._purse, self._memories
        assert purse is not None, "the learned gate was played"
        assert memories is not None, "and asked afterwards"
        return Report(seed=self._seed, tasks=len(self._tasks), runs=figures, purse=purse, memories=memories)

    @contextmanager
    def _servers(self) -> Iterator[dict[str, Server]]:
        """By gate: all started at once, all ended at once. The learned gate has language models, which are played."""
        servers = dict[str, Server]()
        try:
            with Models(self._scratch / MODELS) as models:
                with_models = {LEARNED: models.settings(models.wait(self._over))}
                for name, settings in self._settings.items():
                    chosen = {**settings, **with_models.get(name, {}), "SEED": str(self._seed)}
                    servers[name] = Server(self._scratch / name, chosen)
                yield servers
        finally:
            for server in servers.values():
                server.end()
            for server in servers.values():
                server.close()

    @contextmanager
    def _players(self) -> Iterator[ThreadPoolExecutor]:
        """Threads that are told when all is over, and waited for."""
        with ThreadPoolExecutor(AT_ONCE, "player") as players:
            try:
                yield players
            finally:
                self._over.set()

    def _run(self, name: str, server: Server | None, bar: "_Bar") -> Figures:
        if server is None:
            played, explored, latencies_ms = self._through(name, NoGate(), bar), 0, list[float]()
        else:
            with HttpGate(server, server.wait(self._over)) as gate:
                self._warn(name, gate.embedder())
                played, explored, latencies_ms = self._through(name, gate, bar), gate.explored(), gate.latencies_ms
                if name == LEARNED:
                    self._purse = Purse.of(gate.tiers, gate.money(self._over))
                    self._memories = Memories.of(gate.memories())
        return Figures.of(name, played, follow=self._follow, explored=explored, latencies_ms=latencies_ms)

    def _warn(self, name: str, embedder: dict[str, Any]) -> None:
        if embedder["status"] != "ready":
            self._aside.print(f"{name}: the embedding model is not in use ({embedder['reason']})", style="yellow")

    def _through(self, name: str, gate: Gate, bar: "_Bar") -> list[list[Step]]:
        """Every task in order; the steps are written down as they happen."""
        folder = self._scratch / name / "tasks"
        folder.mkdir(parents=True)
        played = []
        bar.start()
        with (folder.parent / STEPS_FILE).open("wb") as log:
            for place, task in enumerate(self._tasks):
                if self._over.is_set():
                    raise Ended
                steps = work(
                    place, task, folder=folder, tools=self._tools[name], gate=gate, seed=self._seed, follow=self._follow
                )
                log.writelines(msgspec.json.encode(step) + b"\n" for step in steps)
                played.append(steps)
                bar.advance()
        return played


class _Bar:
    """One run's line on the terminal."""

    def __init__(self, progress: Progress, name: str, total: int) -> None:
        self._progress, self._line = progress, progress.add_task(name, total=total, start=False)

    def start(self) -> None:
        self._progress.start_task(self._line)

    def advance(self) -> None:
        self._progress.advance(self._line)


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
def ended_by_signal() -> Iterator[None]:
    """An interrupt, a termination or a terminal that closes ends the demo, and everything is cleared away."""

    def end(number: int, _: FrameType | None) -> None:
        for again in ENDING:  # a second one would cut short what clears away
            signal.signal(again, signal.SIG_IGN)
        sys.stderr.write("ending the servers and clearing away, a moment\n")
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:<13}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
