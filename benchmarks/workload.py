"""What agents do all day, made up from a seed: plans for real tools, the way they fail, and what helped.

Thousands of plans share tools and words, as those of a team do, and no two have the same text. One plan fails more
than once, under other conditions and with another error text.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """Ways to fail with one tool: goals, commands, error lines and fixes to draw from."""

    tool: str
    goals: tuple[str, ...]
    commands: tuple[str, ...]
    errors: tuple[str, ...]
    fixes: tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """workload.toml."""

    noise: tuple[str, ...]
    words: dict[str, tuple[str, ...]]
    kinds: tuple[Kind, ...]


TABLE = msgspec.toml.decode(Path(__file__).with_suffix(".toml").read_text("utf-8"), type=Table)


class Plan(NamedTuple):
    """What an agent wants and is about to do; `fails` is the share of attempts that go wrong."""

    goal: str
    planned_action: str
    tool: str
    fails: float
    kind: Kind
    words: dict[str, str]

    def failure(self, rng: Random) -> dict[str, str]:
        """How one attempt went wrong: an error text of one to fourteen lines, and what helped in the end."""
        noise = [rng.choice(TABLE.noise).format_map(_words(rng)) for _ in range(rng.randrange(14))]
        error, fix = (rng.choice(choices).format_map(self.words) for choices in (self.kind.errors, self.kind.fixes))
        return {"error_trace": "\n".join([*noise, error]), "resolution": fix}


def plans(seed: int) -> Iterator[Plan]:
    """Plans without end, no two of the same text."""
    rng = Random(seed)
    seen: set[tuple[str, str]] = set()
    while True:
        plan = _plan(rng)
        if (text := (plan.goal, plan.planned_action)) not in seen:
            seen.add(text)
            yield plan


def _plan(rng: Random) -> Plan:
    kind, words = rng.choice(TABLE.kinds), _words(rng)
    goal, command = (rng.choice(choices).format_map(words) for choices in (kind.goals, kind.commands))
    if rng.random() < 0.6:
        goal = f"{goal} {words['event']}"
    return Plan(goal, command, kind.tool, rng.choice((0.55, 0.75, 0.95)), kind, words)


def _words(rng: Random) -> dict[str, str]:
    words = {name: rng.choice(choices) for name, choices in TABLE.words.items()}
    words |= {"n": str(rng.randrange(2, 900)), "port": str(rng.randrange(3000, 9999))}
    return words | {"v": f"{rng.randrange(9)}.{rng.randrange(30)}", "hex": f"{rng.getrandbits(64):016x}"}


def surroundings(rng: Random) -> dict[str, Any]:
    """The conditions of one attempt, as an agent would print them."""
    return {
        "cwd": f"/home/agent/{rng.choice(TABLE.words['service'])}",
        "stage": rng.choice(TABLE.words["stage"]),
        "branch": rng.choice(("main", f"feature/{rng.choice(TABLE.words['topic'])}")),
        "os": rng.choice(("linux", "darwin")),
        "ci": rng.random() < 0.3,
    }
