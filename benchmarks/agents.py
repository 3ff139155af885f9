"""Fill a memory the way it fills in use: agents ask, act, report, capture what failed and say whether a fix held."""

import asyncio
import itertools
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import uvloop

from .load import Connection, connect, request_bytes
from .workload import Plan, surroundings

AGENTS, STEPS = 32, 4  # at work together; attempts a task takes
FOLLOWED, HELPED, VALIDATED = 0.25, 0.85, 0.3  # advice taken; advice that worked; captured fixes tried at once
Answer = dict[str, Any]


async def ask(connection: Connection, path: str, body: Answer) -> Answer:
    """Post and read the answer; anything but success is a defect of the benchmark."""
    head, _, answer = (await connection.ask(request_bytes(path, msgspec.json.encode(body)))).partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"{path} answered {answer.decode()}")
    decoded: Answer = msgspec.json.decode(answer)
    return decoded


def question(plan: Plan, environment: Answer, task_id: str) -> Answer:
    """What an agent asks the gate."""
    return {
        "task_id": task_id,
        "goal": plan.goal,
        "planned_action": plan.planned_action,
        "tool": plan.tool,
        "environment": environment,
    }


class Team:
    """Agents that try the plans in turn, again and again, until exactly so many failures are remembered."""

    def __init__(self, plans: Sequence[Plan], *, episodes: int, seed: int) -> None:
        self._plans, self._seed = plans, seed
        self._missing = episodes
        self._tasks = itertools.count()

    def work(self, port: int) -> None:
        async def run() -> None:
            await asyncio.gather(*(self._agent(connection) for connection in await connect(port, AGENTS)))

        uvloop.run(run())

    async def _agent(self, connection: Connection) -> None:
        while self._missing:
            task = next(self._tasks)
            rng = Random(f"{self._seed} {task}")
            for step in range(STEPS):
                plan = self._plans[(task * STEPS + step) % len(self._plans)]
                await self._attempt(connection, rng, plan, f"task-{task}", last=step == STEPS - 1)

    async def _attempt(self, connection: Connection, rng: Random, plan: Plan, task_id: str, *, last: bool) -> None:
        """Ask, take the advice or not, report; what failed is captured, and its fix is sometimes tried at once."""
        asked = question(plan, surroundings(rng), task_id)
        answer = await ask(connection, "/v1/decisions", asked)
        verdict, proven = answer["action"], [e for e in answer["supporting_episodes"] if e["resolution"]]
        followed = verdict in ("HINT", "REWRITE") and bool(proven) and rng.random() < FOLLOWED
        success = rng.random() < (HELPED if followed else 1.0 - plan.fails)
        outcome = {"success": success, "applied_suggestion": followed, "overridden": verdict == "BLOCK"}
        told = {"trace_id": answer["trace_id"], "outcome": outcome | {"terminal": last}}
        await ask(connection, "/v1/feedback", told)
        if followed:
            await self._validate(connection, proven[0]["episode_id"], success)
        elif not success and self._missing:
            self._missing -= 1
            await self._capture(connection, rng, asked | plan.failure(rng) | {"trace_id": answer["trace_id"]})

    async def _capture(self, connection: Connection, rng: Random, failed: Answer) -> None:
        captured = await ask(connection, "/v1/capture", failed | {"tool_chain": [failed.pop("tool")]})
        self._missing += captured["duplicate_of"] is not None
        if rng.random() < VALIDATED:
            await self._validate(connection, captured["episode_id"], rng.random() < HELPED)

    async def _validate(self, connection: Connection, episode_id: int, success: bool) -> None:
        said = {"episode_id": episode_id, "outcome": "success" if success else "failure"}
        await ask(connection, "/v1/validate_fix", said)
