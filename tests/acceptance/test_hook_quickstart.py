"""docs/quickstart.md, walked through literally: its blocks are pasted into one shell, and print what it shows."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import PATIENCE_S, Process, environment
from .hooked import AS_SHIPPED, PATIENT

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
HOOK = ".venv/bin/pointsman hook"
BLOCKS = re.compile(r"```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text("utf-8")


@pytest.fixture
def printed(page: str, start: Callable[..., Process], tmp_path: Path) -> list[str]:
    """What each block printed."""
    [seed] = re.findall(r"POINTSMAN_SEED=(\d+) make serve", page)
    server = start(POINTSMAN_SEED=seed)
    (tmp_path / ".venv").symlink_to(Path(AS_SHIPPED[0]).parents[1])
    script = "set -euo pipefail\n" + "\necho '=====';".join(f"\n{commands}" for commands, _ in BLOCKS.findall(page))
    script = script.replace("http://127.0.0.1:8080", server.url).replace("/tmp/", f"{tmp_path}/")
    script = re.sub(rf"{re.escape(HOOK)}$", lambda _: shlex.join(PATIENT), script, flags=re.MULTILINE)
    settings = environment(
        tmp_path / "data", POINTSMAN_PORT=server.url.rsplit(":", 1)[1], XDG_STATE_HOME=str(tmp_path / "state")
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("=====\n")


def test_the_page_shows_what_its_commands_print(page: str, printed: list[str]) -> None:
    """But for what is left out (...) and where lines are broken."""
    shown = [text for _, text in BLOCKS.findall(page)]
    assert len(shown) == len(printed) > 8
    for text, answer in zip(shown, printed, strict=True):
        pieces = [re.escape(unbroken(piece)) for piece in text.split("...")]
        assert re.fullmatch(".*".join(pieces), unbroken(answer)), f"shown: {text}\nprinted: {answer}"


def unbroken(text: str) -> str:
    return "".join(text.split())


def test_a_mistake_is_stopped_the_second_time_and_explained(printed: list[str]) -> None:
    stopped, why = next((a, b) for a, b in zip(printed, printed[2:], strict=False) if "permissionDecision" in a)
    assert "git push --set-upstream origin HEAD" in stopped
    assert re.findall(r"tr_[0-9a-f]+", stopped)
    assert why.startswith("Asked at gate: 'git push'.")
