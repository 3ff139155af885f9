"""Where settings come from: defaults < pointsman.toml < environment < arguments."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from ..errors import BadSetting
from .fields import FILE, PREFIX, SECRET, Settings, shown_value


def load(
    environ: Mapping[str, str] = os.environ, *, file: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the settings once.

    Raises:
      BadSetting: a name is unknown or a value does not fit; the message names the setting and the fix.
    """
    named = [f.name for f in msgspec.structs.fields(Settings)]
    values: dict[str, Any] = {}
    for source, given in (("pointsman.toml", _read_file(file)), ("the environment", _read_environment(environ))):
        for name, value in _with_secrets(given, source).items():
            if name not in named:
                close = difflib.get_close_matches(name, named, 1)
                hint = f"; did you mean {close[0]!r}?" if close else "; `pointsman config show` lists them all"
                raise BadSetting(f"{source} sets {name!r}, which is no setting{hint}")
            values[name] = value
    values.update({k: v for k, v in (overrides or {}).items() if v is not None})
    return _convert(values)


def _with_secrets(given: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What is set, and the secrets of files: each may be named as NAME_file, for whoever mounts them so."""
    files = {name: value for name, value in given.items() if name.removesuffix(FILE) in SECRET and name.endswith(FILE)}
    read = {name.removesuffix(FILE): _secret_of(Path(str(value)), name) for name, value in files.items()}
    if twice := sorted(read.keys() & given.keys()):
        raise BadSetting(f"{source} sets {twice[0]!r} and {twice[0] + FILE!r}; one of them is enough")
    return {name: value for name, value in given.items() if name not in files} | read


def _secret_of(path: Path, name: str) -> str:
    try:
        secret = path.read_text("utf-8").strip()
    except UnicodeDecodeError as error:
        raise BadSetting(f"{name}: {path} is not UTF-8") from error
    except OSError as error:
        raise BadSetting(f"{name}: {path} cannot be read: {error.strerror}") from error
    if not secret:
        raise BadSetting(f"{name}: {path} is empty")
    return secret


def _convert(values: dict[str, Any]) -> Settings:
    for name, value in values.items():
        try:
            msgspec.convert({name: value}, Settings, strict=False)
        except msgspec.ValidationError as error:
            choices = get_args(get_type_hints(Settings)[name]) if "enum" in str(error) else ()
            takes = f"; it takes {', '.join(choices)}" if choices else ""
            raise BadSetting(f"{PREFIX}{name.upper()}={shown_value(name, value)!r}: {error}{takes}") from error
    settings = msgspec.convert(values, Settings, strict=False)
    if (missing := settings.missing()) is not None:
        raise BadSetting(f"{PREFIX}VECTORS={settings.vectors!r} needs {PREFIX}{missing.upper()}")
    return settings


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return {k.removeprefix(PREFIX).lower(): v for k, v in environ.items() if k.startswith(PREFIX) and v != ""}


def _read_file(file: Path | None) -> dict[str, Any]:
    path = file or Path("pointsman.toml")
    if not path.exists():
        if file is not None:
            raise BadSetting(f"there is no settings file {file}")
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSetting(f"{path} is not valid TOML: {error}") from error
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}") from error
