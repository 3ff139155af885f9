"""The command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be reached."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import cyclopts
import httpx
import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from . import __version__, settings, upkeep
from .errors import PointsmanError
from .settings import Settings
from .terminal import REFUSED, UNREACHABLE, Failed, Flag, Json, lines, show, table

if TYPE_CHECKING:
    from .hook.registration import Change

TIMEOUT_S = 30.0
Url = Annotated[str | None, Parameter(help="The server's address; by default what the settings say.")]

app = cyclopts.App(
    name="pointsman", version=__version__, help="A reinforcement-learning routing control plane for AI agents."
)
checkpoint = cyclopts.App(name="checkpoint", help="Keep, list and restore what was learnt.")
config = cyclopts.App(name="config", help="Show and check the settings.")
hook = cyclopts.App(name="hook", help="Stand between a coding agent and its commands: install, uninstall.")
app.command(checkpoint)
app.command(config)
app.command(hook)
app.command(upkeep.rebuild)
app.command(upkeep.backup)
app.command(upkeep.restore)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (Failed, PointsmanError) as error:
        Console(stderr=True).print(f"[red]pointsman:[/red] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.code if isinstance(error, Failed) else REFUSED)


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    data_dir: str | None = None,
    insecure_local: Flag = False,
) -> None:
    """Serve the API until interrupted.

    Args:
      host: Address to listen on (loopback only until API keys exist).
      port: Port to listen on; 0 takes a free one.
      data_dir: Where the journal and the learnt state lie.
      insecure_local: Read no keys; every caller is the tenant `default`.
    """
    from .serving import serve as run

    chosen = settings.load(
        overrides={"host": host, "port": port, "data_dir": data_dir, "insecure_local": insecure_local or None}
    )
    where = f"data in {chosen.data_dir}"
    run(chosen, lambda url: lines(f"Pointsman {__version__} at {url}", where, f"docs at {url}/docs"))


@app.command
def demo(
    *,
    seed: int = 1,
    tasks: int = 600,
    follow: float = 0.5,
    keep: Flag = False,
    json: Json = False,
) -> None:
    """Play a stream of real shell commands with no gate, the fixed rule, the rule at its best, and the learned gate.

    Args:
      seed: Seed of the stream; the same seed gives the same tasks.
      tasks: How many tasks the stream has.
      follow: Probability with which the agent follows a HINT, 0 to 1.
      keep: Keep the scratch folder and the servers' data, and say where.
      json: Print JSON for machines.
    """
    from .demo.run import play

    play(seed=seed, tasks=tasks, follow=follow, keep=keep, as_json=json)


@app.command
def decide(
    action: str, *, goal: str | None = None, task_id: str | None = None, url: Url = None, json: Json = False
) -> None:
    """Ask the gate about a planned action.

    Args:
      action: What the agent is about to do.
      goal: What it is for.
      task_id: The task it belongs to.
    """
    answer = _call("POST", "/v1/decisions", {"planned_action": action, "goal": goal, "task_id": task_id}, url)
    verdict, reason = answer["action"], answer["reason"]
    show(answer, json, lambda: lines(
        reason if reason.startswith(verdict) else f"{verdict}  {reason}",
        *answer["hints"],
        *([f"instead: {answer['suggested_action']}"] if answer["suggested_action"] else []),
        f"trace {answer['trace_id']} · risk {answer['risk']} · evidence {answer['evidence']}",
    ))  # fmt: skip


@app.command
def feedback(
    trace_id: str,
    *,
    success: bool | None = None,
    latency_ms: float | None = None,
    cost: float | None = None,
    failures: int | None = None,
    applied_suggestion: bool | None = None,
    terminal: bool | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Report what came of a decision.

    Args:
      trace_id: The decision's id.
      success: Whether it worked.
      latency_ms: How long it took.
      cost: What it cost, in US dollars.
      failures: How many failures there were.
      applied_suggestion: Whether the advice was followed.
      terminal: Whether the task ends here.
    """
    stated = {
        "success": success, "latency_ms": latency_ms, "cost": cost, "failures": failures,
        "applied_suggestion": applied_suggestion, "terminal": terminal,
    }  # fmt: skip
    outcome = {name: value for name, value in stated.items() if value is not None}
    answer = _call("POST", "/v1/feedback", {"trace_id": trace_id, "outcome": outcome}, url)
    show(answer, json, lambda: lines(
        f"updated: {answer['updated']}" + (f" · waits for {answer['pending']}" if answer["pending"] else ""),
        *([answer["explanation"]["explanation"]] if answer["explanation"] else []),
        *([answer["reason"]] if answer["reason"] else []),
    ))  # fmt: skip


@app.command
def why(trace_id: str, *, url: Url = None, json: Json = False) -> None:
    """Explain a decision in sentences.

    Args:
      trace_id: The decision's id.
    """
    answer = _call("GET", f"/v1/decisions/{trace_id}/why", None, url)
    show(answer, json, lambda: lines(*answer["sentences"]))


@checkpoint.command(name="create")
def checkpoint_create(name: str = "", *, url: Url = None, json: Json = False) -> None:
    """Keep the learnt state of this moment.

    Args:
      name: What to call it.
    """
    answer = _call("POST", "/v1/checkpoints", {"name": name}, url)
    show(answer, json, lambda: lines(f"{answer['checkpoint_id']} holds events up to {answer['seq']}"))


@checkpoint.command(name="list")
def checkpoint_list(*, url: Url = None, json: Json = False) -> None:
    """List the checkpoints, newest first."""
    answer = _call("GET", "/v1/checkpoints", None, url)
    show(answer, json, lambda: table(answer, ("checkpoint_id", "name", "seq", "size_bytes")))


@checkpoint.command(name="restore")
def checkpoint_restore(checkpoint_id: str, *, url: Url = None, json: Json = False) -> None:
    """Go back to a checkpoint; what was learnt since is set aside, not deleted.

    Args:
      checkpoint_id: As `pointsman checkpoint list` shows it.
    """
    answer = _call("POST", f"/v1/checkpoints/{checkpoint_id}/restore", None, url)
    show(answer, json, lambda: lines(
        f"back at event {answer['restored_to']}; {answer['unlearnt_events']} later event(s) are no longer learnt"
    ))  # fmt: skip


@config.command(name="show")
def config_show(*, json: Json = False) -> None:
    """Show every setting, its value and what it does."""
    now = msgspec.to_builtins(settings.load())
    rows = [{"setting": d.env, "value": now[d.name], "default": d.default, "help": d.help} for d in settings.table()]
    show(rows, json, lambda: table(rows, ("setting", "value", "help")))


@config.command(name="check")
def config_check(*, file: Path | None = None, json: Json = False) -> None:
    """Check the settings without starting anything.

    Args:
      file: A settings file; by default pointsman.toml.
    """
    loaded = settings.load(file=file)
    show({"ok": True, "hash": loaded.hash}, json, lambda: lines(f"The settings are fine (hash {loaded.hash})."))


@hook.default
def hook_event() -> None:
    """Answer one event of an agent, told as JSON on standard input. Agents run this; people run `install`."""
    if sys.stdin.isatty():
        app.help_print(["hook"])
    else:
        from .hook.run import run

        run()


@hook.command(name="install")
def hook_install(*, file: Path | None = None, user: Flag = False, project: Flag = False, json: Json = False) -> None:
    """Register the hook in the agent's settings: this project's on this machine (.claude/settings.local.json).

    Args:
      file: In another settings file of this shape.
      user: For all of your projects (~/.claude/settings.json).
      project: For all who share this project's settings (.claude/settings.json).
    """
    from .hook.registration import install

    _register(install, file, user=user, project=project, as_json=json)


@hook.command(name="uninstall")
def hook_uninstall(*, file: Path | None = None, user: Flag = False, project: Flag = False, json: Json = False) -> None:
    """Take the hook out of the agent's settings, and nothing else.

    Args:
      file: Out of another settings file of this shape.
      user: Out of ~/.claude/settings.json.
      project: Out of .claude/settings.json.
    """
    from .hook.registration import uninstall

    _register(uninstall, file, user=user, project=project, as_json=json)


def _register(
    change: Callable[[Path], "Change"], file: Path | None, *, user: bool, project: bool, as_json: bool
) -> None:
    from .hook.registration import NotWritten, settings_path

    try:
        done = change(settings_path(file, user=user, project=project))
    except NotWritten as error:
        raise Failed(f"{error}. Nothing was changed.") from error
    show(done._asdict(), as_json, lambda: lines(done.said))


def _call(method: str, path: str, body: dict[str, Any] | None, url: str | None) -> Any:
    """One request to the server; an error answer becomes a message."""
    base = url or _address(settings.load())
    try:
        response = httpx.request(method, f"{base}{path}", json=body, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise Failed(
            f"no server answers at {base} ({type(error).__name__}); start one with `pointsman serve`", UNREACHABLE
        ) from error
    if response.is_error:
        raise Failed(response.json().get("detail", response.text))
    return response.json()


def _address(current: Settings) -> str:
    host = f"[{current.host}]" if ":" in current.host else current.host
    return f"http://{host}:{current.port}"
