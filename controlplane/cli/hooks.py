"""The hook: what an agent runs at each of its events, and what people run once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts

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

    Args:
      file: In another settings file of this shape.
      user: For all of your projects (~/.claude/settings.json).
      project: For all who share this project's settings (.claude/settings.json).
    """
    from ..hook.registration import install

    _register(install, file, user=user, project=project, as_json=json)


@hook.command(name="uninstall")
def hook_uninstall(*, file: Path | None = None, user: Flag = False, project: Flag = False, json: Json = False) -> None:
    """Take the hook out of the agent's settings, and nothing else.

    Args:
      file: Out of another settings file of this shape.
      user: Out of ~/.claude/settings.json.
      project: Out of .claude/settings.json.
    """
    from ..hook.registration import uninstall

    _register(uninstall, file, user=user, project=project, as_json=json)


def _register(
    change: Callable[[Path], "Change"], file: Path | None, *, user: bool, project: bool, as_json: bool
) -> None:
    from ..hook.registration import NotWritten, settings_path

    try:
        done = change(settings_path(file, user=user, project=project))
    except NotWritten as error:
        raise Failed(f"{error}. Nothing was changed.") from error
    show(done._asdict(), as_json, lambda: lines(done.said))
