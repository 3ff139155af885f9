"""Files that people write: JSON where the name says so, else TOML."""

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from .errors import UnusablePolicy


def read_document(file: Path) -> Any:
    """What the file says.

    Raises:
      UnusablePolicy: it cannot be read, or is not of its language.
    """
    language = "JSON" if file.suffix.lower() == ".json" else "TOML"
    try:
        text = file.read_text("utf-8")
        return msgspec.json.decode(text) if language == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise UnusablePolicy(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError, msgspec.DecodeError) as error:
        raise UnusablePolicy(f"{file.name} is no {language}: {error}") from error
