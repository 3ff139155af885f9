"""Commands that exchange what was learnt with other installations and tenants, a file at a time."""

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import cyclopts
import msgspec

from .client import call
from .output import lines, show, table
from .program import Failed, Json, Url, app

federation = cyclopts.App(name="federation", help="Exchange what was learnt with other installations and tenants.")
app.command(federation)


@federation.command(name="export")
def federation_export(*, point: str, out: Path | None = None, url: Url = None, json: Json = False) -> None:
    """Print what a point learnt itself, to be imported elsewhere; nothing that it imported is in it.

    Args:
      point: The decision point, `gate` or `route`.
      out: Write it to this file instead.
    """
    answer = call("GET", _at(point), None, url)
    entry, left_out = answer["own"], answer["left_out"]
    held = f"{len(entry['cells'])} cell(s) of {entry['origin']} at {point}, up to event {entry['seq']}"
    if out is None:
        show(entry, json, lambda: lines(msgspec.json.encode(entry).decode()))
        return
    try:
        out.write_bytes(msgspec.json.encode(entry))
    except OSError as error:
        raise Failed(f"{out} cannot be written: {error.strerror}") from error
    said = {"file": str(out), "origin": entry["origin"], "seq": entry["seq"], "cells": len(entry["cells"])}
    more = f"; {left_out} less visited one(s) found no room" if left_out else ""
    show({**said, "left_out": left_out}, json, lambda: lines(f"{out} holds {held}{more}"))


@federation.command(name="import")
def federation_import(file: Path, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Take in what another origin exported, at the point that it was learnt at.

    Args:
      file: What `pointsman federation export` wrote.
      reason: Why; it is kept with the act.
    """
    try:
        entry = msgspec.json.decode(file.read_bytes())
        path = _at(entry["point"])
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise Failed(f"{file} is not what `pointsman federation export` writes") from error
    answer = call("POST", path, {"why": reason, "entry": entry}, url)
    held = f"{answer['cells']} cell(s) of {answer['origin']} at {answer['point']}, up to event {answer['seq']}"
    said = f"imported {held}" if answer["imported"] else f"nothing changed: {answer['reason']}"
    show(answer, json, lambda: lines(said))


@federation.command(name="list")
def federation_list(*, url: Url = None, json: Json = False) -> None:
    """List what was imported, and who this tenant is to others."""
    answers = _everywhere(url)
    rows = [{"point": point, **origin} for point, answer in answers.items() for origin in answer["imported"]]
    own = next(iter(answers.values()))["own"]["origin"]
    show({"own": own, "imported": rows}, json, lambda: _listed(own, rows))


@federation.command(name="forget")
def federation_forget(origin: str, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Let go of what an origin had learnt, at every point.

    Args:
      origin: As `pointsman federation list` shows it.
      reason: Why; it is kept with the act.
    """
    answers = _everywhere(url)
    points = [point for point, of in answers.items() if origin in [one["origin"] for one in of["imported"]]]
    if not points:
        raise Failed(f"nothing was imported from {origin}; `pointsman federation list` shows what was")
    for point in points:
        call("DELETE", f"{_at(point)}/{quote(origin, safe='')}?{urlencode({'why': reason})}", None, url)
    show({"origin": origin, "points": points}, json, lambda: lines(f"{origin} is forgotten at {', '.join(points)}"))


def _at(point: str) -> str:
    return f"/v1/federation/{quote(point, safe='')}"


def _everywhere(url: str | None) -> dict[str, Any]:
    """What stands at each point."""
    points = [policy["point"] for policy in call("GET", "/v1/points", None, url)]
    return {point: call("GET", _at(point), None, url) for point in points}


def _listed(own: str, rows: list[dict[str, Any]]) -> None:
    table(rows, ("point", "origin", "seq", "cells", "by", "why"))
    lines(f"this tenant is {own}")
