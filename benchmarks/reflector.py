"""The local reflector and the normal form of commands, on texts they were not written for.

Two agents' logs: shell steps with their output (`swe_mini`) and SQL steps with the database's answer (`intercode`).
Tasks fall into two halves by a digest of their name: one was looked at while the rules were made, the other is only
measured. A step is read as it happened: the command before, the error text after; no label is used.
"""

import gzip
import hashlib
import json
import random
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from controlplane.llm.local import MAX_CAUSE, classify, clean, root_cause
from controlplane.memory.actions import family_of, normalise, signature, tool_of

HALVES = ("looked_at", "untouched")
NEEDS = "needs --data DIR, the folder that holds intercode/ and swe_mini/"
JUDGED = Path(__file__).with_name("reflector_judged.toml")
SEED, TEXTS_JUDGED, PAIRS_JUDGED, SHELL_EXAMPLES, SQL_EXAMPLES = 1, 50, 25, 7, 3
SILLY = {"", "cd", "export", "set", "source", ".", "[", "[[", "do", "then", "#", "\\", "(", "{"}
CLIPPED = " … "  # stands in the data where the middle of an output was left out


class Step(NamedTuple):
    """One step of an agent. `place` is what its commands act on: a repository at a commit, a database."""

    task: str
    place: str
    command: str
    error: str  # '' when it did not fail, or failed without a word

    @property
    def half(self) -> str:
        return HALVES[hashlib.sha256(self.task.encode()).digest()[0] % 2]

    @property
    def text(self) -> str:
        return self.error.replace(CLIPPED, "\n")


def key(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def shell_steps(data: Path) -> list[Step]:
    """Commands that ran. One that ends with a code other than 0 and without output is a search without a result."""
    ran = (row for row in rows(data / "swe_mini" / "steps.jsonl.gz") if row["kind"] != "format_error")
    failed = lambda row: row["kind"] == "nonzero" and not row["empty_fail"]  # noqa: E731
    return [Step(row["task"], row["task"], row["action"], row["obs"] if failed(row) else "") for row in ran]


def sql_steps(data: Path) -> list[Step]:
    databases = {row["task"]: row["db"] for row in rows(data / "intercode" / "sql_tasks.jsonl.gz")}
    return [
        Step(
            row["task"],
            databases[row["task"]],
            row["action"],
            row["obs"] if row["obs"].startswith("Error executing query") else "",
        )
        for row in rows(data / "intercode" / "sql_steps.jsonl.gz")
    ]


def distinct_errors(steps: list[Step]) -> dict[str, dict[str, Step]]:
    """Per half, by its digest, a step for every error text; a text of both halves belongs to the first."""
    first = {key(step.error): step for step in reversed(steps) if step.error and step.half == HALVES[0]}
    other = {key(step.error): step for step in reversed(steps) if step.error and step.half == HALVES[1]}
    return {HALVES[0]: first, HALVES[1]: {digest: step for digest, step in other.items() if digest not in first}}


def draw(population: Iterable[str], count: int) -> list[str]:
    pool = sorted(population)
    return random.Random(SEED).sample(pool, min(count, len(pool)))


def share(count: int, of: int) -> float:
    return round(count / of, 4) if of else 0.0


def classes(steps: list[Step], texts: dict[str, Step]) -> dict[str, Any]:
    """What the failing steps of a half are called; by step, as agents meet them, and by distinct text."""
    failing = [step for step in steps if step.error]
    called = {text: classify(text) for text in {step.text for step in failing}}
    by_step = Counter(called[step.text] for step in failing)
    by_text = Counter(classify(step.text) for step in texts.values())
    return {
        "failing_steps": len(failing),
        "distinct_texts": len(texts),
        "share_unknown": share(by_step["unknown"], len(failing)),
        "share_exception": share(by_step["exception"], len(failing)),
        "share_unknown_of_texts": share(by_text["unknown"], len(texts)),
        "steps_by_class": dict(by_step.most_common()),
    }


def judged(texts: dict[str, Step], verdicts: dict[str, Any]) -> dict[str, int]:
    """How often the chosen line is one of those a person found to name the cause, and the class one that is right."""
    found = Counter(texts=0, say_the_cause=0, cause_found=0, classed=0, class_right=0, not_judged=0)
    for digest in draw(texts, TEXTS_JUDGED):
        text, verdict = texts[digest].text, verdicts.get(digest)
        if verdict is None:
            found["not_judged"] += 1
            continue
        lines = [line.strip()[:MAX_CAUSE] for line in clean(text).splitlines() if line.strip()]
        found["texts"] += 1
        found["say_the_cause"] += bool(verdict["cause"])
        found["cause_found"] += root_cause(text) in [lines[place] for place in verdict["cause"]]
        found["classed"] += (name := classify(text)) != "unknown"
        found["class_right"] += name in verdict["classes"]
    return dict(found)


def signed(command: str) -> str:
    return signature(tool_of(command), command)


def commands(steps: list[Step], verdicts: dict[str, bool]) -> dict[str, Any]:
    """How far the normal form gathers commands, and what it gathers wrongly."""
    tools = Counter(tool_of(step.command) for step in steps)
    known = sum(count for tool, count in tools.items() if family_of(tool) != "other")
    gathered = defaultdict[tuple[str, str], dict[str, set[bool]]](lambda: defaultdict(set))
    for step in steps:
        gathered[step.place, signed(step.command)][step.command].add(bool(step.error))
    merged = [group for group in gathered.values() if len(group) > 1]
    steady = [group for group in merged if all(len(outcomes) == 1 for outcomes in group.values())]
    distinct = {(step.place, step.command) for step in steps}
    return {
        "steps": len(steps),
        "distinct_commands": len(distinct),
        "distinct_signatures": len(gathered),
        "share_seen_before_word_for_word": share(len(steps) - len(distinct), len(steps)),
        "share_seen_before_by_signature": share(len(steps) - len(gathered), len(steps)),
        "share_known_family": share(known, len(steps)),
        "share_silly_tool": share(sum(tools[tool] for tool in tools if silly(tool)), len(steps)),
        "merged_groups": len(merged),
        "merged_with_different_outcomes": sum(len(set.union(*group.values())) > 1 for group in steady),
        "merged_pairs_judged": merges(merged, verdicts),
    }


def silly(tool: str) -> bool:
    """Nothing a person would call a program: shell grammar, a comment, what only prepares."""
    return tool in SILLY or not tool[0].isascii() or not (tool[0].isalnum() or tool[0] in "._")


def merged_pairs(groups: list[dict[str, set[bool]]]) -> dict[str, tuple[str, str]]:
    """By its digest, the first and the last command, in order of the alphabet, of every merged group."""
    pairs = [(min(group), max(group)) for group in groups]
    return {key(*pair): pair for pair in pairs}


def merges(groups: list[dict[str, set[bool]]], verdicts: dict[str, bool]) -> dict[str, int]:
    """Of drawn pairs with one signature, how many a person found to differ in what matters."""
    drawn = draw(merged_pairs(groups), PAIRS_JUDGED)
    found = [verdicts[digest] for digest in drawn if digest in verdicts]
    return {"pairs": len(found), "differ_in_what_matters": found.count(False), "not_judged": len(drawn) - len(found)}


def microseconds(call: Callable[[str], object], texts: list[str]) -> float:
    """Mean over distinct texts, each for the first time."""
    begun = time.perf_counter()
    for text in texts:
        call(text)
    return round((time.perf_counter() - begun) / len(texts) * 1e6, 1)


def traceback(frames: int) -> str:
    frame = '  File "/srv/app/module_{0}/core.py", line {0}7, in call_{0}\n    return self.handler_{0}(request)\n'
    body = "".join(frame.format(i) for i in range(frames))
    return f"Traceback (most recent call last):\n{body}app.errors.LedgerDown: no answer from the ledger\n"


def speed(shell: list[Step], sql: list[Step]) -> dict[str, float]:
    texts = list({step.text for step in shell if step.error})
    queries = list({step.text for step in sql if step.error})
    written = list({step.command for step in shell})
    return {
        "classify_shell_us": microseconds(classify, texts),
        "classify_sql_us": microseconds(classify, queries),
        "root_cause_shell_us": microseconds(root_cause, texts),
        "root_cause_sql_us": microseconds(root_cause, queries),
        "root_cause_of_30_frames_us": microseconds(root_cause, [traceback(30)] * 200),
        "tool_of_us": microseconds(tool_of, written),
        "normalise_us": microseconds(normalise, written),
    }


def examples(texts: dict[str, Step], count: int) -> dict[str, dict[str, str]]:
    return {
        digest: {
            "command": " ".join(texts[digest].command.split())[:70],
            "class": classify(texts[digest].text),
            "root_cause": root_cause(texts[digest].text)[:120],
        }
        for digest in draw(texts, count)
    }


def measure(data: Path | None = None) -> dict[str, Any]:
    """Both halves of both logs, the speed, and ten examples drawn from the half that was not looked at."""
    if data is None:
        return {"not_measured": NEEDS}
    verdicts = tomllib.loads(JUDGED.read_text("utf-8"))
    logs = {"shell": shell_steps(data), "sql": sql_steps(data)}
    errors = {name: distinct_errors(steps) for name, steps in logs.items()}
    found: dict[str, Any] = {}
    for half in HALVES:
        for name, steps in logs.items():
            own = [step for step in steps if step.half == half]
            found.setdefault(half, {})[name] = {
                "errors": classes(own, errors[name][half]),
                "commands": commands(own, verdicts["merges"]),
            }
        found[half]["shell"]["judged"] = judged(errors["shell"][half], verdicts[half])
    found["speed"] = speed(logs["shell"], logs["sql"])
    untouched = HALVES[1]
    found["examples"] = examples(errors["shell"][untouched], SHELL_EXAMPLES) | examples(
        errors["sql"][untouched], SQL_EXAMPLES
    )
    return found
