"""`pointsman hook install` and `uninstall`, as a person runs them."""

import json
import shlex
import stat
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
    state = tmp_path / "state" / "pointsman"
    assert json.loads(hook("uninstall", "--json").stdout) == {
        "file": str(path), "changed": True, "said": f"The hook is taken out of {path}.",
        "notes": [f"Notes, and where the server is, stay in {state}: remove it when no agent runs the hook any more."],
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


def test_where_the_server_is_is_noted_for_the_hook_and_said(hook: Run, tmp_path: Path) -> None:
    noted = tmp_path / "state" / "pointsman" / "server.json"
    (tmp_path / "pointsman.toml").write_text("port = 9\napi_key = 'pm_live_x'\nhost = '0.0.0.0'\n")
    said = hook("install").stdout
    assert "The hook asks http://127.0.0.1:9." in said  # no server there, which is fine
    assert "Warning" not in said
    assert json.loads(noted.read_text()) == {"host": "0.0.0.0", "port": 9, "api_key": "pm_live_x"}
    assert (stat.S_IMODE(noted.stat().st_mode), stat.S_IMODE(noted.parent.stat().st_mode)) == (0o600, 0o700)
    (tmp_path / "pointsman.toml").write_text("port = 9\nhost = '192.0.2.1'\n")
    said = hook("install").stdout
    assert "already" in said
    assert "Warning: the hook will ask nobody: 192.0.2.1 is not this machine" in said
    assert json.loads(noted.read_text())["host"] == "192.0.2.1"


def test_settings_that_are_not_understood_are_said_before_anything_is_changed(hook: Run, tmp_path: Path) -> None:
    (tmp_path / "pointsman.toml").write_text("port = 'http'\n")
    refused = hook("install")
    assert (refused.returncode, "POINTSMAN_PORT" in refused.stderr) == (REFUSED, True)
    assert [path.name for path in tmp_path.iterdir() if path.name in (".claude", "state")] == []


@pytest.mark.parametrize("line", ["timeout 1 pointsman hook", "sh -c 'cd /; /opt/bin/pointsman hook'"])
def test_a_hook_that_the_user_wrapped_stays_and_is_said(hook: Run, tmp_path: Path, line: str) -> None:
    path = tmp_path / ".claude" / "settings.local.json"
    path.parent.mkdir()
    mine = {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": line}]}]}
    path.write_text(json.dumps({"hooks": mine}))
    for change in ("install", "uninstall"):
        assert f"`{line}` runs the hook too." in hook(change).stdout
    assert json.loads(path.read_text())["hooks"] == mine
