"""The pepper: a secret beside the journal that every key's hash is keyed with.

Whoever has a copy of the journal alone can check no key. It lies in the data folder, readable by its owner only.
"""

import hmac
import os
import stat
from pathlib import Path

import structlog

from ..errors import BadSetting
from .keys import PEPPER_BYTES

log = structlog.get_logger()
FILE = "pepper"


def load_pepper(folder: Path, *, needed: bool) -> bytes:
    """The folder's pepper, made when there is none; `needed` says that keys rest on one already.

    Raises:
      BadSetting: it is missing though keys rest on it, or it is damaged.
    """
    path = folder / FILE
    if not needed and not path.exists():
        _make(path)
    pepper = read_pepper(folder)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("pepper_readable_by_others", file=str(path), fix=f"chmod 600 {path}")
    return pepper


def read_pepper(folder: Path) -> bytes:
    """The folder's pepper as it is; nothing is made, and nothing is said.

    Raises:
      BadSetting: it is missing or damaged, or this user may not read it.
    """
    path = folder / FILE
    try:
        pepper = path.read_bytes()
    except FileNotFoundError as error:
        said = f"{path} is missing, and no API key can be checked without it; put your copy of it back"
        raise BadSetting(said) from error
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}; run this as the user it belongs to") from error
    if len(pepper) != PEPPER_BYTES:
        raise BadSetting(f"{path} is damaged ({len(pepper)} bytes, not {PEPPER_BYTES}); put your copy of it back")
    return pepper


def settled_pepper(pepper: str | None) -> bytes:
    """The pepper of all replicas, as the setting has it.

    Raises:
      BadSetting: it is missing, or is not 32 bytes in hexadecimal.
    """
    if pepper is None:
        raise BadSetting(
            "replicas need one pepper for all: openssl rand -hex 32 > pepper, keep it secret, and set "
            "POINTSMAN_PEPPER_FILE to it at each of them (that of an embedded server: xxd -p -c 32 DATA_DIR/pepper)"
        )
    try:
        given = bytes.fromhex(pepper)
    except ValueError:
        given = b""
    if len(given) != PEPPER_BYTES:
        raise BadSetting("POINTSMAN_PEPPER takes 32 bytes in hexadecimal: openssl rand -hex 32")
    return given


def derived(pepper: bytes, label: str) -> bytes:
    """A key for another use than API keys, which has nothing to do with any of theirs [32 bytes].

    >>> derived(bytes(32), "one use") == derived(bytes(32), "one use") != derived(bytes(32), "another")
    True
    """
    return hmac.digest(pepper, b"for " + label.encode(), "sha256")


def _make(path: Path) -> None:
    """On disk, whole or not at all, before a key rests on it."""
    temporary = path.with_suffix(".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(PEPPER_BYTES))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
