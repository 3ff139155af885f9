"""Under which conditions a call is made: a few facts that are cheap, real, and no secret.

Names only, never a path from the root: what is learnt in one place is to fit another.
"""

import os
from collections.abc import Mapping

MAX_DEPTH = 32  # folders that are walked up in search of the repository


def facts(cwd: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Project, folder in it, branch, and whether a virtual environment is active.

    A fact that is not known is left out.
    """
    if not os.path.isabs(cwd):
        return {}
    root = _repository(cwd)
    branch = _branch(os.path.join(root, ".git")) if root else ""
    known = {
        "project": _name(root or cwd, environ.get("HOME", "")),
        "folder": os.path.relpath(cwd, root) if root else ".",
        "branch": branch,
        "virtualenv": "active" if environ.get("VIRTUAL_ENV") else "none",
    }
    return {name: fact for name, fact in known.items() if fact}


def _repository(folder: str) -> str:
    """The nearest folder at or above with a `.git`; '' when there is none."""
    for _ in range(MAX_DEPTH):
        if os.path.exists(os.path.join(folder, ".git")):
            return folder
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            break
    return ""


def _name(folder: str, home: str) -> str:
    """A home folder is named after a person; that is no condition."""
    return "home" if folder == home else os.path.basename(folder)


def _branch(git: str) -> str:
    """The branch as `.git/HEAD` says it, also in a worktree, whose `.git` is a file that leads to it."""
    try:
        if os.path.isfile(git):
            git = os.path.join(os.path.dirname(git), _first_line(git).removeprefix("gitdir: "))
        head = _first_line(os.path.join(git, "HEAD"))
    except (OSError, UnicodeDecodeError):  # a broken repository: its branch is not known
        return ""
    return head.removeprefix("ref: refs/heads/") if head.startswith("ref: ") else "detached"


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline(4096).strip()
