"""Puts `pointsman hook` into an agent's settings file, and takes it out again. All else in the file stays."""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .event import AFTER, AFTER_FAILURE, BEFORE, END
from .session import home
from .settings_file import NotWritten, Settings, SettingsFile

__all__ = ["Change", "NotWritten", "install", "settings_path", "uninstall"]

TOOLS = ("Bash", "mcp__.*")  # shell commands, and the tools of MCP servers
EVENTS: dict[str, tuple[str, ...]] = {BEFORE: TOOLS, AFTER: TOOLS, AFTER_FAILURE: TOOLS, END: ("",)}
TIMEOUT_S = 5  # when the agent gives up waiting; the hook itself gives up long before

Entry = dict[str, Any]
_RUN = re.compile(r"(?:\bpointsman|-m controlplane)['\"]? hook(?![\w-])")  # anywhere in a command


def command() -> str:
    """What the agent is to run: this very installation, from whatever folder."""
    script = Path(sys.executable).with_name("pointsman")
    words = [str(script)] if script.exists() else [sys.executable, "-m", "controlplane"]
    return shlex.join([*words, "hook"])


class Change(NamedTuple):
    """What became of a settings file, and what else is good to know."""

    file: str
    changed: bool
    said: str
    notes: tuple[str, ...] = ()


def settings_path(file: Path | None, *, user: bool, project: bool, environ: Mapping[str, str] = os.environ) -> Path:
    """The file that is meant: one by name, the user's, the one a project shares, else the project's on this machine.

    Raises:
      NotWritten: more than one is meant.
    """
    if (file is not None) + user + project > 1:
        raise NotWritten("--file, --user and --project exclude each other")
    if user:
        return Path(environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "settings.json"
    return file or Path(".claude") / ("settings.json" if project else "settings.local.json")


def install(path: Path, environ: Mapping[str, str] = os.environ) -> Change:
    """Register the hook.

    Raises:
      NotWritten: the file is not understood, or it cannot be written.
    """
    file = SettingsFile(path, environ)
    before = file.settings()
    wanted = {event: [_entry(tool) for tool in tools] for event, tools in EVENTS.items()}
    ours = {event: mine for event, entries in before.get("hooks", {}).items() if (mine := _split(entries)[0])}
    where = f"{', '.join(EVENTS)} in {file.path}"
    if ours == wanted:
        return Change(str(file.path), False, f"{where} run `{command()}` already.", _wrapped(before))
    if not ours:
        file.keep_original()
    after = _without(before)
    hooks = after.get("hooks", {})
    file.write({**after, "hooks": {**hooks, **{event: [*hooks.get(event, []), *wanted[event]] for event in wanted}}})
    return Change(str(file.path), True, f"{where} now run `{command()}`.", _wrapped(after))


def uninstall(path: Path, environ: Mapping[str, str] = os.environ) -> Change:
    """Take out every hook of ours, whichever installation it names.

    Raises:
      NotWritten: the file is not understood, or it cannot be written.
    """
    file = SettingsFile(path, environ)
    before = file.settings()
    after = _without(before)
    notes = _wrapped(after) + _remaining(environ)
    if after == before:
        return Change(str(file.path), False, f"{file.path} has no hook of Pointsman's.", notes)
    file.restore(after)
    return Change(str(file.path), True, f"The hook is taken out of {file.path}.", notes)


def _wrapped(settings: Settings) -> tuple[str, ...]:
    """Handlers that run the hook inside a command of the user's own."""
    entries = [entry for group in settings.get("hooks", {}).values() for entry in group if isinstance(entry, dict)]
    handlers = [handler for entry in entries if isinstance(entry.get("hooks"), list) for handler in entry["hooks"]]
    found = dict.fromkeys(_line(handler) for handler in handlers if not _is_ours(handler))
    return tuple(
        f"`{line}` runs the hook too. It is your own, so it stays as it is." for line in found if _RUN.search(line)
    )


def _remaining(environ: Mapping[str, str]) -> tuple[str, ...]:
    state = os.path.dirname(home(environ))
    if not os.path.isdir(state):
        return ()
    return (f"Notes, and where the server is, stay in {state}: remove it when no agent runs the hook any more.",)


def _entry(tool: str) -> Entry:
    handler = {"type": "command", "command": command(), "timeout": TIMEOUT_S}
    return {"matcher": tool, "hooks": [handler]} if tool else {"hooks": [handler]}


def _without(settings: Settings) -> Settings:
    """The settings without our handlers, and without what is empty because of that."""
    parted = {event: _split(entries) for event, entries in settings.get("hooks", {}).items()}
    hooks = {event: others for event, (ours, others) in parted.items() if others or not ours}
    if not hooks and parted:
        return {name: value for name, value in settings.items() if name != "hooks"}
    return {**settings, "hooks": hooks} if "hooks" in settings else settings


def _split(entries: list[Any]) -> tuple[list[Entry], list[Any]]:
    """(ours, everybody else's) of an event's entries; one that holds handlers of both is parted."""
    ours: list[Entry] = []
    others: list[Any] = []
    for entry in entries:
        handlers = entry.get("hooks") if isinstance(entry, dict) else None
        mine = [handler for handler in handlers if _is_ours(handler)] if isinstance(handlers, list) else []
        theirs = [handler for handler in handlers or [] if handler not in mine] if mine else None
        if mine:
            ours.append({**entry, "hooks": mine})
        if theirs is None:
            others.append(entry)
        elif theirs:
            others.append({**entry, "hooks": theirs})
    return ours, others


def _is_ours(handler: object) -> bool:
    try:
        words = shlex.split(_line(handler))
    except ValueError:  # unbalanced quotes: we write none
        return False
    by_script = len(words) == 2 and os.path.basename(words[0]) == "pointsman" and words[1] == "hook"
    return by_script or words[1:] == ["-m", "controlplane", "hook"]


def _line(handler: object) -> str:
    said = handler.get("command") if isinstance(handler, dict) else None
    return said if isinstance(said, str) else ""
