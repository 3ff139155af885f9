"""Sessions: what queries of memory returned, by the origins of what they were shown."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from .client import call
from .output import lines, show, table, told_weights
from .program import Failed, Json, Url, app

COLUMNS = ("what", "origin", "sessions", "success_rate", "mean_return", "deviation")


@app.command
def sessions(
    *,
    by_type: Annotated[bool, Parameter(negative=())] = False,
    file: Path | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Show what sessions returned, by where their memories were from.

    Args:
      by_type: Group origins by what they are: bots, workflows, enhancements, errors, ...
      file: Also write it there, as JSON.
    """
    told = call("GET", "/v1/sessions", None, url)
    answer: Any = _by_type(told["origins"]) if by_type else told
    if file is not None:
        try:
            file.write_bytes(msgspec.json.format(msgspec.json.encode(answer), indent=2) + b"\n")
        except OSError as error:
            raise Failed(f"{file} cannot be written: {error.strerror}") from error

    def text() -> None:
        table(sorted(told["origins"], key=lambda of: (of["what"], -of["mean_return"])), COLUMNS)
        lines(_ranker(told["ranker"]), f"{told['outcomes']} outcomes; {told['open']} sessions wait for one")

    show(answer, json, text)


def _by_type(origins: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for of in origins:
        found.setdefault(of["what"], {})[of["origin"]] = {name: of[name] for name in COLUMNS[2:]}
    return found


def _ranker(ranker: dict[str, Any]) -> str:
    since = f"version {ranker['version']}" if ranker["version"] else "as shipped"
    return f"search weighs {told_weights(ranker['weights'])} ({since})"
