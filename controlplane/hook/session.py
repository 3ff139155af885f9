"""What is known of a session between two events: small private files, one per fact.

Events are processes of their own, some at the same time. A file is written whole or not at all, and taken by
whoever removes it, so no lock is needed. They hold ids, digests and conditions: no command, prompt or output.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping

from .event import ALONE, Json, digest
from .private_file import replace

# Kinds of notes: a call that was answered and not told of yet; advice somebody may still follow; a failure that
# may still be solved; the newest decision.
CALL, ADVICE, FAILURE, LAST = "call", "advice", "failure", "last"
MOST = {CALL: 64, ADVICE: 16, FAILURE: 8, LAST: 1}  # notes of a kind; older ones give way

KEPT_S = 2 * 24 * 3600.0  # sessions nobody ended are forgotten after this time
FEW = 8  # of them are looked at while an agent waits for its answer
MAX_NAME = 80


def home(environ: Mapping[str, str]) -> str:
    """This user's folder for everything the hook remembers."""
    chosen = environ.get("XDG_STATE_HOME", "")
    base = chosen if os.path.isabs(chosen) else os.path.expanduser("~/.local/state")
    return os.path.join(base, "pointsman", "hook")


class Session:
    """The notes of one agent in one session; a note has a kind and a name."""

    def __init__(self, root: str, session: str, agent: str = ALONE) -> None:
        self._root, self._session = root, os.path.join(root, _file_name(session))
        self._folder = os.path.join(self._session, _file_name(agent))

    def keep(self, kind: str, name: str, note: Json) -> None:
        """Write a note, over an older one of this name; one too many pushes out the oldest."""
        self._make_folders()
        replace(self._path(kind, name), json.dumps(note))
        for oldest in self._newest_first(kind)[MOST[kind] :]:
            _gone(os.unlink, self._path(kind, oldest))

    def take(self, kind: str, name: str) -> Json | None:
        """Read a note and remove it; of several who try, one gets it."""
        path = self._path(kind, name)
        note = _read(path)
        try:
            os.unlink(path)
        except FileNotFoundError:
            return None
        return note

    def rename(self, kind: str, name: str, to: str) -> bool:
        """Whether the note was still there to be given another name."""
        try:
            os.replace(self._path(kind, name), self._path(kind, to))
        except FileNotFoundError:
            return False
        return True

    def notes(self, kind: str) -> Iterator[tuple[str, Json]]:
        """All notes of a kind with their names, the newest first."""
        for name in self._newest_first(kind):
            if (note := _read(self._path(kind, name))) is not None:
                yield name, note

    def agents(self) -> list["Session"]:
        """This session's notes, agent by agent."""
        return [Session(self._root, os.path.basename(self._session), agent) for agent in _listed(self._session)]

    def forget(self) -> None:
        """Remove all notes of the session, whoever's they are."""
        _remove(self._session)

    def forget_old(self) -> None:
        """Remove the sessions nobody ended."""
        _forget_old(self._root, _listed(self._root))

    def _newest_first(self, kind: str) -> list[str]:
        files = (name.split(".") for name in _listed(self._folder))
        names = [parts[1] for parts in files if len(parts) == 3 and parts[0] == kind]
        return sorted(names, key=lambda name: -_written(self._path(kind, name)))

    def _path(self, kind: str, name: str) -> str:
        return os.path.join(self._folder, f"{kind}.{_file_name(name)}.json")

    def _make_folders(self) -> None:
        if not os.path.isdir(self._folder):
            if not os.path.isdir(self._session):
                _forget_old(self._root, _a_few(_listed(self._root)))
            os.makedirs(self._folder, exist_ok=True)


def _file_name(name: str) -> str:
    """Names come from outside: one that could lead elsewhere is replaced by its digest."""
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isalnum() and plain.isascii() and len(name) <= MAX_NAME else digest(name)


def _read(path: str) -> Json | None:
    try:
        with open(path, encoding="utf-8") as file:
            note = json.load(file)
    except (OSError, ValueError):  # taken by another process, or not ours
        return None
    return note if isinstance(note, dict) else None


def _written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return 0.0


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # none there yet, or none of ours
        return []


def _a_few(names: list[str]) -> list[str]:
    """Others each time, so that agents which never end a session do not fill the folder."""
    first = os.getpid() % max(1, len(names))
    return [*names[first:], *names[:first]][:FEW]


def _forget_old(root: str, names: list[str]) -> None:
    for session in (os.path.join(root, name) for name in names):
        folders = (session, *(os.path.join(session, agent) for agent in _listed(session)))
        if max(_written(folder) for folder in folders) < time.time() - KEPT_S:
            _remove(session)


def _remove(session: str) -> None:
    """Our two levels of folders and the files in them."""
    for agent in (os.path.join(session, name) for name in _listed(session)):
        for name in _listed(agent):
            _gone(os.unlink, os.path.join(agent, name))
        _gone(os.rmdir, agent)
    _gone(os.rmdir, session)


def _gone(remove: Callable[[str], None], path: str) -> bool:
    """Whether this call removed it; another process may be writing here again, or have been quicker."""
    try:
        remove(path)
    except OSError:
        return False
    return True
