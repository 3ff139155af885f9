"""Real gate tasks: recorded plans of agents, each known to have failed or worked, asked about before they ran.

PROCEED earns 1 where the plan worked and costs `harm` where it failed; any other verdict holds the plan back and earns
nothing, since nobody knows what would have been done instead.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.contract import CaptureRequest, DecisionRequest
from controlplane.memory.texts import plan_text

from .. import datasets

CALLERS = (
    "gpt-3.5-turbo-0125",
    "claude-3-haiku-20240307",
    "open-mixtral-8x22b",
    "gpt-4o-mini-2024-07-18",
    "claude-3-5-sonnet-20240620",
    "mistral-small-2402",
    "gemini-1.5-flash-preview-0514",
    "command-r-plus",
)
SQL_ARMS = ("gpt35_10turn", "gpt4_10turn", "gpt35_react")
MAX_ACTION, MAX_GOAL = 2000, 500  # characters that are told of either


class Planned(NamedTuple):
    """One plan: the question, whether the plan failed, and with which words."""

    asked: DecisionRequest
    failed: bool
    error: str

    @property
    def text(self) -> str:
        """What it is embedded as."""
        return plan_text(self.asked.goal or "", self.asked.planned_action or "")

    @property
    def captured(self) -> CaptureRequest:
        """The failure as its agent would have it remembered."""
        return CaptureRequest(
            goal=self.asked.goal or "",
            planned_action=self.asked.planned_action or "",
            task_id=self.asked.task_id,
            environment=self.asked.environment,
            error_trace=self.error,
        )


class Gating(NamedTuple):
    """A task: episodes whose plans stay in order, and what a failure costs where a success earns 1."""

    name: str
    harm: float
    episodes: list[list[Planned]]

    @property
    def weights(self) -> dict[str, float]:
        """The reward's: a success is 1, a failure -harm, and what is held back costs nothing."""
        return {"outcome": 1.0, "failure": self.harm - 1.0}


def bfcl(data: Path) -> Gating:
    """Tool calls of eight models; each is an episode of its own."""
    asked = {row["id"]: row for row in datasets.rows(data / "bfcl" / "questions.jsonl.gz")}
    outcomes = datasets.rows(data / "bfcl" / "outcomes.jsonl.gz")
    made = [
        _planned(
            asked[row["id"]]["question"], row["call"], {"model": row["model"]}, "", not row["ok"], row.get("error")
        )
        for row in outcomes
        if row["model"] in CALLERS
    ]
    return Gating("gate-bfcl", 3.0, [[plan] for plan in made])


def sql(data: Path) -> Gating:
    """Queries of three agents, step by step, with the error of the step before."""
    goals = {row["task"]: row for row in datasets.rows(data / "intercode" / "sql_tasks.jsonl.gz")}
    steps = datasets.rows(data / "intercode" / "sql_steps.jsonl.gz")
    episodes = _in_order((row for row in steps if row["arm"] in SQL_ARMS), lambda row: (row["task"], row["arm"]))

    def planned(row: dict[str, Any], before: str) -> Planned:
        task = goals[row["task"]]
        failed = row["obs"].startswith("Error executing query") or not row["valid"]
        return _planned(task["goal"], row["action"], {"db": task["db"]}, before, failed, row["obs"])

    return Gating("gate-sql", 1.0, [_told(episode, planned) for episode in episodes])


def swe(data: Path) -> Gating:
    """Shell commands of a coding agent; a search that finds nothing is no failure."""
    tasks = {row["task"]: row for row in datasets.rows(data / "swe_mini" / "episodes.jsonl.gz")}
    steps = datasets.rows(data / "swe_mini" / "steps.jsonl.gz")
    ran = (row for row in steps if row["kind"] in ("ok", "nonzero"))

    def planned(row: dict[str, Any], before: str) -> Planned:
        task = tasks[row["task"]]
        failed = row["kind"] == "nonzero" and not row["empty_fail"]
        return _planned(task["goal"], row["action"], {"repo": task["repo"]}, before, failed, row["obs"])

    return Gating("gate-swe", 15.0, [_told(episode, planned) for episode in _in_order(ran, lambda row: row["task"])])


def _in_order(rows: Iterable[dict[str, Any]], episode: Callable[[dict[str, Any]], Any]) -> list[list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(episode(row), []).append(row)
    return [sorted(each, key=lambda row: row["turn"]) for each in found.values()]


def _told(episode: Sequence[dict[str, Any]], planned: Callable[[dict[str, Any], str], Planned]) -> list[Planned]:
    """The plans of an episode, each told the error of the one before, if it failed."""
    made, before = list[Planned](), ""
    for row in episode:
        made.append(planned(row, before))
        before = made[-1].error
    return made


def _planned(
    goal: str, action: str, environment: dict[str, Any], before: str, failed: bool, error: str | None
) -> Planned:
    asked = DecisionRequest(
        goal=goal[:MAX_GOAL],
        planned_action=(action or "(nothing)")[:MAX_ACTION],
        environment=environment,
        context={"previous_error": before} if before else {},
    )
    return Planned(asked, bool(failed), str(error or "") if failed else "")


TASKS: dict[str, Callable[[Path], Gating]] = {"gate-bfcl": bfcl, "gate-sql": sql, "gate-swe": swe}
