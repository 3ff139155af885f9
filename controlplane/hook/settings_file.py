"""An agent's settings: a JSON file that others write too. Read whole, replaced whole, and given back as it was.

It may hold secrets, so what is kept of it is for its owner alone.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .event import digest
from .private_file import OWNERS_FILE, make_folder, replace
from .session import home

Settings = dict[str, Any]
INDENT = "  "
BYTE_ORDER_MARK = "\ufeff"  # some editors begin a file with it
_INDENTED = re.compile(r'^([ \t]+)"', re.MULTILINE)


class NotWritten(Exception):
    """The settings were left as they are; the message says why."""


class SettingsFile:
    """One file, and what it was before the hook came.

    Raises:
      NotWritten: it cannot be read.
    """

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.path = Path(os.path.realpath(path))  # a link stays one: what it leads to is written
        self._original = Path(home(environ)).with_name("hook-settings") / f"{digest(str(self.path))}.json"
        if self.path.is_symlink():
            raise NotWritten(f"{path} is a link that leads round in a circle; mend it first")
        try:
            self._text = self.path.read_bytes().decode() if self.path.exists() else None
        except (OSError, UnicodeDecodeError) as error:
            raise NotWritten(f"{self.path} cannot be read: {error}") from error

    def settings(self) -> Settings:
        """What the file says; nothing where there is none.

        Raises:
          NotWritten: it is not JSON, or its hooks are not lists by event.
        """
        try:
            said = _parsed(self._text)
        except ValueError as error:
            raise NotWritten(f"{self.path} is not valid JSON ({error}); mend it first") from error
        hooks = said.get("hooks", {}) if isinstance(said, dict) else None
        if not isinstance(hooks, dict) or not all(isinstance(entries, list) for entries in hooks.values()):
            raise NotWritten(f"{self.path} has no settings with lists of hooks by event; mend it first")
        return dict(said)

    def write(self, settings: Settings) -> None:
        """Replace the file, indented as it was, with its line ends and its byte order mark.

        Raises:
          NotWritten: it cannot be written.
        """
        before = self._text or ""
        found = _INDENTED.search(before)
        text = json.dumps(settings, indent=found[1] if found else INDENT, ensure_ascii=False)
        text = text if before and not before.endswith("\n") else f"{text}\n"
        text = text.replace("\n", "\r\n") if "\r\n" in before else text
        self._write(f"{BYTE_ORDER_MARK}{text}" if before.startswith(BYTE_ORDER_MARK) else text)

    def keep_original(self) -> None:
        """Remember what the file is now, and whether its folder is there.

        Raises:
          NotWritten: it cannot be.
        """
        kept = json.dumps({"text": self._text, "folder": self.path.parent.exists()})
        try:
            for folder in (self._original.parent.parent, self._original.parent):
                make_folder(str(folder))
            replace(str(self._original), kept)
        except OSError as error:
            raise NotWritten(f"{self._original} cannot be written: {error.strerror}") from error

    def restore(self, settings: Settings) -> None:
        """Write settings; where they say what the file said before the hook came, give it back byte for byte.

        Raises:
          NotWritten: it cannot be written.
        """
        before = json.loads(self._original.read_text("utf-8")) if self._original.exists() else None
        if before is None or _meant(settings) != _meant(_parsed(before["text"])):
            self.write(settings)
        elif before["text"] is not None:
            self._write(before["text"])
        else:
            self._remove(and_folder=not before["folder"])
        self._original.unlink(missing_ok=True)

    def _remove(self, *, and_folder: bool) -> None:
        self.path.unlink()
        if and_folder and not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def _write(self, text: str) -> None:
        """A file that is there keeps its rights."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            mode = self.path.stat().st_mode & 0o777 if self.path.exists() else OWNERS_FILE
            replace(str(self.path), text, mode)
        except OSError as error:
            raise NotWritten(f"{self.path} cannot be written: {error.strerror}") from error


def _parsed(text: str | None) -> Any:
    said = (text or "").removeprefix(BYTE_ORDER_MARK)
    return json.loads(said) if said.strip() else {}


def _meant(settings: Settings) -> Settings:
    """The settings without lists of hooks that hold none."""
    hooks = {event: entries for event, entries in settings.get("hooks", {}).items() if entries}
    return {**{name: value for name, value in settings.items() if name != "hooks"}, "hooks": hooks}
