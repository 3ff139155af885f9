"""Commands about how a point decides: what stands there, and what an operator sets in the settings' place."""

from pathlib import Path
from typing import Any

import cyclopts
import msgspec

from auditor.guards import Guard
from strategist import Mode

from ..documents import read_document
from .client import call
from .output import lines, moment, show, told_weights
from .program import Failed, Json, Share, Some, Url, Weights, app

policy = cyclopts.App(name="policy", help="Show and set how a point decides.")
app.command(policy)


class Guards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of guard rules: all of a point's, in their order."""

    guards: tuple[Guard, ...]


@policy.command(name="show")
def policy_show(point: str, *, url: Url = None, json: Json = False) -> None:
    """Show a point's policy: the settings', and what was set in their place.

    Args:
      point: The decision point, `gate` or `route`.
    """
    answer = call("GET", f"/v1/points/{point}/policy", None, url)
    show(answer, json, lambda: lines(*_standing(answer)))


@policy.command(name="set")
def policy_set(
    point: str,
    *,
    mode: Mode | None = None,
    weights: Weights = None,
    ceiling: Share | None = None,
    guards: Path | None = None,
    from_front: Path | None = None,
    choose: Some | None = None,
    reason: str | None = None,
    url: Url = None,
    json: Json = False,
) -> None:
    """Set how a point decides, from the next decision on; what is not named stays as it is.

    Args:
      point: The decision point, `gate` or `route`.
      mode: `learning`, `apprentice` or `frozen`.
      weights: Of the reward's terms, as `latency=0.5 cost=0.2`; the others keep theirs.
      ceiling: The risk above which nothing laxer than the preferred verdict is drawn.
      guards: A TOML or JSON file of all guard rules of the point, under `guards`.
      from_front: What `pointsman replay --grid ... --json` printed; its weights are set, all others to 0.
      choose: The number of a point of that front.
      reason: Why; it stands in the journal.
    """
    if (from_front is None) != (choose is None) or (from_front and weights is not None):
        raise Failed("weights are either named, by --weights, or chosen, by --from-front FILE --choose N")
    if from_front is not None and choose is not None:
        weights, reason = _chosen(from_front, choose), reason or f"point {choose} of {from_front}"
    rules = None if guards is None else _guards(guards)
    named: dict[str, Any] = {"mode": mode, "weights": weights, "risk_ceiling": ceiling, "guards": rules}
    sets = {name: value for name, value in named.items() if value is not None}
    if not sets or not reason:
        raise Failed("say what to set (--mode, --weights, --ceiling, --guards or --from-front) and why (--reason)")
    before = call("GET", f"/v1/points/{point}/policy", None, url)
    if from_front is not None:
        sets["weights"] = dict.fromkeys(before["rules"]["weights"], 0.0) | sets["weights"]
    if not json:
        lines(*_changes(before["rules"], sets))
    body = {"version": before["version"], "why": reason, **sets}
    answer = call("PATCH", f"/v1/points/{point}/policy", body, url)
    show(answer, json, lambda: lines(f"set at {point} from the next decision on, as version {answer['version']}"))


def _guards(file: Path) -> list[dict[str, Any]]:
    """The guard rules of a file."""
    try:
        found: list[dict[str, Any]] = msgspec.to_builtins(msgspec.convert(read_document(file), Guards).guards)
    except msgspec.ValidationError as error:
        raise Failed(f"{file.name} holds no guard rules: {error}") from error
    return found


def _chosen(file: Path, number: int) -> dict[str, float]:
    """The weights of a point of the front that a replay of a grid told."""
    from strategist.evaluation import Front

    try:
        front = msgspec.json.decode(file.read_bytes(), type=Front)
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Failed(f"{file} is nothing that `pointsman replay --grid ... --json` printed: {error}") from error
    weights = {point.number: point.weights for point in front.points if point.on_front}
    if number not in weights:
        there = ", ".join(map(str, weights)) or "none"
        raise Failed(f"point {number} is not on the front of {file}; on it are {there}")
    return weights[number]


def _standing(answer: dict[str, Any]) -> list[str]:
    """A point's policy in lines."""
    rules = answer["rules"]
    ceilings = ("risk_ceiling", "audit_ceiling", "audit_share")
    by = f" by {answer['set_by']}" if answer["set_by"] else ""
    return [
        f"{answer['point']}: {answer['mode']}, version {answer['version']}",
        *([f"set {moment(answer['set_at'])}{by}: {answer['set_why']}"] if answer["version"] else []),
        f"weights: {told_weights(rules['weights'])}",
        " · ".join(f"{name.replace('_', ' ')} {rules[name]:g}" for name in ceilings),
        *(f"guard rule: {_guard(rule)}" for rule in rules["guards"]),
    ]


def _guard(rule: dict[str, Any]) -> str:
    """A guard rule in words: what it does, and where."""
    conditions = {name: rule[name] for name in ("tool", "command") if name in rule} | rule.get("environment", {})
    where = ", ".join(f"{name} {value}" for name, value in conditions.items())
    return f"{rule['name']}: {rule['effect']} {', '.join(rule['actions'])}" + (f" where {where}" if where else "")


def _changes(rules: dict[str, Any], sets: dict[str, Any]) -> list[str]:
    """What will be otherwise than it is, a line for each."""
    was, will = _told(rules | {"mode": rules["policy"]["mode"]}), _told(sets)
    return [f"{name}: {was.get(name, 0.0)} -> {to}" for name, to in will.items() if was.get(name, 0.0) != to]


def _told(said: dict[str, Any]) -> dict[str, Any]:
    """What is said of a policy, by what it is called; a term that is not named weighs 0."""
    told = {name.replace("_", " "): said[name] for name in ("mode", "risk_ceiling") if name in said}
    told |= {f"weight of {term}": weight for term, weight in said.get("weights", {}).items()}
    if "guards" in said:
        told["guard rules"] = "; ".join(map(_guard, said["guards"])) or "none"
    return told
