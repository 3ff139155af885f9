"""The hook: what an agent runs at each of its events, and what people run once.

The hook itself reads no settings file. Where the server is, and its key, are noted for it when it is installed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

from .. import settings
from .client import refusal
from .output import lines, show
from .program import Failed, Flag, Json, app

if TYPE_CHECKING:
    from ..hook.registration import Change

hook = cyclopts.App(name="hook", help="Stand between a coding agent and its commands: install, uninstall.")
app.command(hook)


@hook.default
def hook_event() -> None:
    """Answer one event of an agent, told as JSON on standard input. Agents run this; people run `install`."""
    app.help_print(["hook"])  # an agent's event never comes here: `__main__` answers it


@hook.command(name="install")
def hook_install(*, file: Path | None = None, user: Flag = False, project: Flag = False, json: Json = False) -> None:
    """Register the hook in the agent's settings: this project's on this machine (.claude/settings.local.json).

    It will ask the server that the settings name now, with the key they hold now (POINTSMAN_HOST, _PORT, _API_KEY).

    Args:
      file: In another settings file of this shape.
      user: For all of your projects (~/.claude/settings.json).
      project: For all who share this project's settings (.claude/settings.json).
    """
    from ..hook.registration import install

    chosen = settings.load()
    done = _changed(install, file, user=user, project=project)
    asked = _asked(chosen.host, chosen.port, chosen.api_key or "")
    _show(done._replace(notes=(*done.notes, *asked)), json)


@hook.command(name="uninstall")
def hook_uninstall(*, file: Path | None = None, user: Flag = False, project: Flag = False, json: Json = False) -> None:
    """Take the hook out of the agent's settings, and nothing else.

    Args:
      file: Out of another settings file of this shape.
      user: Out of ~/.claude/settings.json.
      project: Out of .claude/settings.json.
    """
    from ..hook.registration import uninstall

    _show(_changed(uninstall, file, user=user, project=project), json)


def _changed(change: Callable[[Path], "Change"], file: Path | None, *, user: bool, project: bool) -> "Change":
    from ..hook.registration import NotWritten, settings_path

    try:
        return change(settings_path(file, user=user, project=project))
    except NotWritten as error:
        raise Failed(f"{error}. Nothing was changed.") from error


def _asked(host: str, port: int, key: str) -> list[str]:
    """Note the server for the hook; what it will ask, and why that will not do, if so. A server may start later."""
    from ..hook.server import Nowhere, note, server

    try:
        note(host, port, key)
        host, port, key = server()
    except OSError as error:
        raise Failed(f"the hook is registered, but it cannot be told where the server is: {error}") from error
    except Nowhere as error:
        return [f"Warning: the hook will ask nobody: {error}."]
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    why = refusal(base, key)
    return [f"The hook asks {base}.", *([f"Warning: {why}; then install again."] if why else [])]


def _show(done: "Change", as_json: bool) -> None:
    show(done._asdict(), as_json, lambda: lines(done.said, *done.notes))
