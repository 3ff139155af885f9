"""The README's first screen, and its commands run as they are pasted."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

FIRST_SCREEN = 40  # lines


def test_readme_names_both_commands_on_the_first_screen(readme: str) -> None:
    first = "\n".join(readme.splitlines()[:FIRST_SCREEN])
    assert "make run" in first
    assert "make test" in first


def test_targets_named_in_the_readme_exist(readme: str, root: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)(?=[\s`]*(?:`|#|$|TORCH_INDEX))", readme, re.MULTILINE))
    makefile = (root / "Makefile").read_text("utf-8")
    assert {"run", "test", "serve", "install", "bench"} <= named
    assert [target for target in named if f"\n{target}:" not in makefile] == []


@pytest.fixture(scope="module")
def answers(readme: str, server: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the pasted blocks print, one after the other, in one shell."""
    folder = tmp_path_factory.mktemp("pasted")
    blocks = [block for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "curl" in block]
    script = "set -euo pipefail\n" + "\n".join(blocks)
    script = script.replace("http://127.0.0.1:8080", server).replace("/tmp/", f"{folder}/")
    pasted = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=folder, check=False)
    assert pasted.returncode == 0, pasted.stderr
    return [json.loads(line) for line in pasted.stdout.splitlines() if line]


def test_pasted_commands_show_answers_that_change_after_feedback(answers: list[dict[str, Any]]) -> None:
    ready, first, report, second, unknown, failure, captured, hint, validated, rewrite, why, context = answers
    assert ready["status"] == "ready"

    assert (first["propensity"], report["updated"], report["reward"]) == (0.5, True, -0.5)
    assert second["action"] != first["action"]
    assert second["propensity"] == pytest.approx(0.94, abs=0.01)

    assert (unknown["action"], unknown["abstained"]) == ("PROCEED", True)
    assert (failure["updated"], failure["reward"]) == (True, -1.0)
    assert [e["episode_id"] for e in hint["supporting_episodes"]] == [captured["episode_id"]]
    assert (hint["action"], hint["suggested_action"]) == ("HINT", None)
    assert (validated["updated"], validated["reward"]) == (True, 0.98)
    assert (rewrite["action"], rewrite["suggested_action"]) == ("REWRITE", "git push --set-upstream origin HEAD")
    assert why["trace_id"] == rewrite["trace_id"]
    assert [told["memory_id"] for told in context["context"]["episodes"]] == [captured["episode_id"]]


def test_readme_shows_what_the_pasted_commands_print(readme: str, answers: list[dict[str, Any]]) -> None:
    """Each shown answer is shortened; all that is left of it stands in the answer of this very run."""
    section = readme.split("## Ask, report, ask again")[1].split("\n## ")[0]
    blocks = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    shown = [json.loads(text.replace(", ...", "")) for block in blocks for text in re.split(r"\n(?={)", block)]
    assert len(shown) == len(answers)
    for expected, answer in zip(shown, answers, strict=True):
        assert stands_in(expected, answer), (expected, answer)


def test_the_gate_answer_of_the_api_page_is_the_readmes_last(
    pages: dict[str, str], answers: list[dict[str, Any]]
) -> None:
    section = pages["docs/api.md"].split("### Gate\n")[1]
    [shown, *_] = map(json.loads, re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    assert timeless(shown) == timeless(answers[-3])


def timeless(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what is new in every run."""
    explanations = {**answer["explanations"], "phases_ms": sorted(answer["explanations"]["phases_ms"])}
    return {**answer, "trace_id": "", "reflection": {**answer["reflection"], "id": ""}, "explanations": explanations}


def stands_in(shown: Any, printed: Any) -> bool:
    """Whether what is shown is part of what was printed, but for names that are new in every run."""
    match shown:
        case dict():
            return all(name in printed and stands_in(value, printed[name]) for name, value in shown.items())
        case list():
            return len(shown) == len(printed) and all(map(stands_in, shown, printed))
        case str() if shown.startswith("tr_") or "settings" in shown:
            return bool(printed[:3] == shown[:3])
        case _:
            return bool(shown == printed)
