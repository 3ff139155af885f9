"""Commands that ask, report and explain, and those that keep what was learnt."""

from typing import Any

import cyclopts

from .client import call
from .output import lines, show, table
from .program import Json, Some, Url, app

checkpoint = cyclopts.App(name="checkpoint", help="Keep, list, compare, restore and prune what was learnt.")
app.command(checkpoint)


@app.command
def decide(
    action: str, *, goal: str | None = None, task_id: str | None = None, url: Url = None, json: Json = False
) -> None:
    """Ask the gate about a planned action.

    Args:
      action: What the agent is about to do.
      goal: What it is for.
      task_id: The task it belongs to.
    """
    answer = call("POST", "/v1/decisions", {"planned_action": action, "goal": goal, "task_id": task_id}, url)
    verdict, reason = answer["action"], answer["reason"]
    show(answer, json, lambda: lines(
        reason if reason.startswith(verdict) else f"{verdict}  {reason}",
        *answer["hints"],
        *([f"instead: {answer['suggested_action']}"] if answer["suggested_action"] else []),
        *(f"episode {e['episode_id']}: {e['worth']['summary']}" for e in answer["supporting_episodes"]),
        f"trace {answer['trace_id']} · risk {answer['risk']} · evidence {answer['evidence']}",
    ))  # fmt: skip


@app.command
def feedback(
    trace_id: str,
    *,
    success: bool | None = None,
    latency_ms: float | None = None,
    cost: float | None = None,
    failures: int | None = None,
    applied_suggestion: bool | None = None,
    terminal: bool | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Report what came of a decision.

    Args:
      trace_id: The decision's id.
      success: Whether it worked.
      latency_ms: How long it took.
      cost: What it cost, in US dollars.
      failures: How many failures there were.
      applied_suggestion: Whether the advice was followed.
      terminal: Whether the task ends here.
    """
    stated = {
        "success": success, "latency_ms": latency_ms, "cost": cost, "failures": failures,
        "applied_suggestion": applied_suggestion, "terminal": terminal,
    }  # fmt: skip
    outcome = {name: value for name, value in stated.items() if value is not None}
    answer = call("POST", "/v1/feedback", {"trace_id": trace_id, "outcome": outcome}, url)
    show(answer, json, lambda: lines(
        f"updated: {answer['updated']}" + (f" · waits for {answer['pending']}" if answer["pending"] else ""),
        *([answer["explanation"]["explanation"]] if answer["explanation"] else []),
        *([answer["reason"]] if answer["reason"] else []),
    ))  # fmt: skip


@app.command
def why(trace_id: str, *, url: Url = None, json: Json = False) -> None:
    """Explain a decision in sentences.

    Args:
      trace_id: The decision's id.
    """
    answer = call("GET", f"/v1/decisions/{trace_id}/why", None, url)
    show(answer, json, lambda: lines(*answer["sentences"]))


@checkpoint.command(name="create")
def checkpoint_create(name: str = "", *, url: Url = None, json: Json = False) -> None:
    """Keep the learnt state of this moment.

    Args:
      name: What to call it.
    """
    answer = call("POST", "/v1/checkpoints", {"name": name}, url)
    show(answer, json, lambda: lines(f"{answer['checkpoint_id']} holds events up to {answer['seq']}"))


@checkpoint.command(name="list")
def checkpoint_list(*, url: Url = None, json: Json = False) -> None:
    """List the checkpoints, newest first."""
    answer = call("GET", "/v1/checkpoints", None, url)
    show(answer, json, lambda: table(answer, ("checkpoint_id", "name", "seq", "size_bytes")))


@checkpoint.command(name="restore")
def checkpoint_restore(checkpoint_id: str, *, url: Url = None, json: Json = False) -> None:
    """Go back to a checkpoint; what was learnt since is set aside, not deleted.

    Args:
      checkpoint_id: As `pointsman checkpoint list` shows it.
    """
    answer = call("POST", f"/v1/checkpoints/{checkpoint_id}/restore", None, url)
    show(answer, json, lambda: lines(
        f"back at event {answer['restored_to']}; {answer['unlearnt_events']} later event(s) are no longer learnt"
    ))  # fmt: skip


@checkpoint.command(name="diff")
def checkpoint_diff(a: str, b: str = "now", *, url: Url = None, json: Json = False) -> None:
    """Show what would be done otherwise after the second of two learnt states, and how much is known there.

    Args:
      a: A checkpoint's id, or `now`.
      b: Another one's, or `now`.
    """
    answer = call("GET", f"/v1/checkpoints/{a}/diff/{b}", None, url)
    rows = [
        {
            "point": change["point"],
            "state": change["state"],
            "before": _preferred(change["before"]),
            "after": _preferred(change["after"]),
            "visits": change["after"]["visits"],
        }
        for change in answer["states"]
    ]
    show(answer, json, lambda: _differences(answer["changed"], rows))


@checkpoint.command(name="prune")
def checkpoint_prune(*, keep: Some, url: Url = None, json: Json = False) -> None:
    """Let go of old checkpoints; those that a restore names stay, and those that an archive rests on.

    Args:
      keep: How many of the newest stay in any case.
    """
    answer = call("POST", "/v1/checkpoints/prune", {"keep": keep}, url)
    freed = f"{len(answer['pruned'])} checkpoint(s) pruned, {answer['freed_bytes']:,} bytes freed"
    show(answer, json, lambda: lines(freed, *answer["pruned"]))


def _preferred(known: dict[str, Any]) -> str:
    """The preferred action and its value, then the others by theirs."""
    ranked = sorted(known["values"].items(), key=lambda value: (value[0] != known["action"], -value[1]))
    return ", ".join(f"{action} {value:.3f}" for action, value in ranked)


def _differences(changed: int, rows: list[dict[str, Any]]) -> None:
    table(rows, ("point", "state", "before", "after", "visits"))
    lines(f"{changed} state(s) changed" + (f"; the {len(rows)} most visited are shown" if changed > len(rows) else ""))
