"""Commands about the challenger beside a point's champion."""

from typing import Annotated, Any
from urllib.parse import urlencode

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number

from strategist import ExplorationName

from .client import call
from .output import lines, show, told_weights
from .program import Json, Share, Url, Weights, app

challenger = cyclopts.App(name="challenger", help="Set another policy beside a point's, promote it, go back, end it.")
app.command(challenger)


@challenger.command(name="set")
def challenger_set(
    point: str,
    *,
    reason: str,
    share: Share = 0.0,
    weights: Weights = None,
    gamma: Share | None = None,
    alpha: Annotated[float | None, Parameter(validator=Number(gt=0, lte=1))] = None,
    epsilon: Share | None = None,
    exploration: ExplorationName | None = None,
    checkpoint_id: str | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set a challenger beside the champion, or let the one that stands there act on another share of the tasks.

    Args:
      point: The decision point, `gate` or `route`.
      reason: Why; it stands in the journal.
      share: The share of the tasks on which it acts, 0 to 1; with 0 it only says what it would do.
      weights: Of the reward's terms, as `latency=0.5 cost=0.2`; the others are the champion's.
      gamma: Its discount, if it is not what the settings say.
      alpha: Its step size, if it is not what the settings say.
      epsilon: What it explores at first, if it is not what the settings say.
      exploration: How it explores, if it is not what the settings say.
      checkpoint_id: Whose values it begins with, as `pointsman checkpoint list` shows it; by default none.
    """
    stated = {"gamma": gamma, "alpha": alpha, "epsilon": epsilon, "exploration": exploration}
    tuning = {name: value for name, value in stated.items() if value is not None}
    body = {"why": reason, "share": share, "weights": weights or {}, "tuning": tuning, "checkpoint_id": checkpoint_id}
    answer = call("POST", _path(point), body, url)
    show(answer, json, lambda: lines(f"a challenger stands at {point} and acts on {share:.0%} of the tasks"))


@challenger.command(name="show")
def challenger_show(point: str, *, url: Url = None, json: Json = False) -> None:
    """Show who stands beside the champion, and how much better it is.

    Args:
      point: The decision point, `gate` or `route`.
    """
    answer = call("GET", f"/v1/points/{point}/policy", None, url)["challenger"]
    told = [f"nobody stands beside the champion at {point}"] if answer is None else _standing(point, answer)
    show(answer, json, lambda: lines(*told))


@challenger.command(name="promote")
def challenger_promote(point: str, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Put the challenger in the champion's place, if it is proven better.

    Args:
      point: The decision point, `gate` or `route`.
      reason: Why; it stands in the journal.
    """
    answer = call("POST", f"/v1/points/{point}/promote", {"why": reason}, url)
    show(answer, json, lambda: lines(f"the challenger is the champion at {point} now; `rollback` goes back"))


@challenger.command(name="rollback")
def challenger_rollback(point: str, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Put the former champion back in its place.

    Args:
      point: The decision point, `gate` or `route`.
      reason: Why; it stands in the journal.
    """
    answer = call("POST", f"/v1/points/{point}/rollback", {"why": reason}, url)
    show(answer, json, lambda: lines(f"the former champion is back at {point}"))


@challenger.command(name="end")
def challenger_end(point: str, *, reason: str, url: Url = None, json: Json = False) -> None:
    """Take the challenger, or the former champion, away.

    Args:
      point: The decision point, `gate` or `route`.
      reason: Why; it stands in the journal.
    """
    call("DELETE", f"{_path(point)}?{urlencode({'why': reason})}", None, url)
    show({"point": point, "ended": True}, json, lambda: lines(f"nobody stands beside the champion at {point} now"))


def _path(point: str) -> str:
    return f"/v1/points/{point}/challenger"


def _standing(point: str, answer: dict[str, Any]) -> list[str]:
    """A challenger in lines."""
    called = "former champion" if answer["stage"] == "former" else answer["stage"]
    known, tuning = answer["comparison"], ", ".join(f"{name} {value}" for name, value in answer["tuning"].items())
    return [
        f"{called} at {point} since event {answer['since']}, acts on {answer['share']:.0%} of the tasks",
        *([f"tuning: {tuning}"] if tuning else []),
        *([f"weights: {told_weights(answer['weights'])}"] if answer["weights"] else []),
        f"a decision earns {known['at_least']:.3g} to {known['at_most']:.3g} more than the champion's, by "
        f"{known['decisions']} of them; {known['unsupported']} could not be compared",
    ]
