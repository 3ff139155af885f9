"""`pointsman hook install` and `uninstall`, as a person runs them."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
REFUSED = 1


@pytest.fixture
def hook(cli: Run, tmp_path: Path) -> Run:
    """Runs `pointsman hook ...` with a home and a state of its own."""
    places = {"HOME": str(tmp_path / "home"), "XDG_STATE_HOME": str(tmp_path / "state"), "CLAUDE_CONFIG_DIR": ""}
    return lambda *arguments: cli("hook", *arguments, **places)


def test_what_is_installed_runs_from_any_folder_and_is_taken_out_again(hook: Run, tmp_path: Path) -> None:
    path = tmp_path / ".claude" / "settings.local.json"
    installed = hook("install")
    assert (installed.returncode, installed.stderr) == (0, "")
    assert f"PreToolUse, PostToolUse, PostToolUseFailure, SessionEnd in {path} now run" in installed.stdout
    [command] = {
        handler["command"]
        for entries in json.loads(path.read_text())["hooks"].values()
        for entry in entries
        for handler in entry["hooks"]
    }
    ran = subprocess.run(shlex.split(command), cwd="/", input="{}", capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.startswith("pointsman hook: ValueError")
    assert json.loads(hook("uninstall", "--json").stdout) == {
        "file": str(path), "changed": True, "said": f"The hook is taken out of {path}.",
    }  # fmt: skip
    assert not path.parent.exists()


def test_each_place_is_written_where_the_agent_looks_for_it(hook: Run, tmp_path: Path) -> None:
    for option, path in (
        (("--user",), tmp_path / "home" / ".claude" / "settings.json"),
        (("--project",), tmp_path / ".claude" / "settings.json"),
        (("--file", "other/hooks.json"), tmp_path / "other" / "hooks.json"),
    ):
        assert json.loads(hook("install", *option, "--json").stdout)["file"] == str(path)
        assert "PostToolUseFailure" in json.loads(path.read_text())["hooks"]


def test_a_refusal_says_that_nothing_was_changed(hook: Run, tmp_path: Path) -> None:
    path = tmp_path / ".claude" / "settings.json"
    path.parent.mkdir()
    path.write_text('{"hooks": // mine\n}')
    refused = hook("install", "--project")
    assert (refused.returncode, refused.stdout) == (REFUSED, "")
    assert f"{path} is not valid JSON" in refused.stderr
    assert "Nothing was changed" in refused.stderr
    assert path.read_text() == '{"hooks": // mine\n}'
    both = hook("uninstall", "--project", "--user")
    assert both.returncode == REFUSED
    assert "exclude each other" in both.stderr
