"""Files that are read by their owner alone, and written whole or not at all.

Rights come before content: at no moment can anybody else read what is being written.
"""

import os

OWNERS_FILE, OWNERS_FOLDER = 0o600, 0o700


def replace(path: str, text: str, mode: int = OWNERS_FILE) -> None:
    """Write a file, over an older one. What was begun and cannot be finished is removed.

    Raises:
      OSError: it cannot be written; an older one is as it was.
    """
    folder, name = os.path.split(path)
    begun = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        with open(begun, "w", encoding="utf-8", newline="", opener=_create) as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        os.replace(begun, path)
    except BaseException:
        if os.path.lexists(begun):
            os.unlink(begun)
        raise


def make_folder(path: str) -> None:
    """A folder for its owner alone, also where it was there and open to others. Folders above are made as usual."""
    os.makedirs(path, OWNERS_FOLDER, exist_ok=True)
    os.chmod(path, OWNERS_FOLDER)


def _create(path: str, flags: int) -> int:
    """Nobody else's file and no link is written through; what a killed process of this number left gives way."""
    if os.path.lexists(path):
        os.unlink(path)
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, OWNERS_FILE)
