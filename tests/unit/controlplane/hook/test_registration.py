"""Into an agent's settings and out again: nobody else's hooks, keys or bytes are touched."""

import json
import os
import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from controlplane.hook.registration import NotWritten, install, settings_path, uninstall

OTHERS: dict[str, Any] = {
    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
    "hooks": {
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": "./guard.sh", "timeout": 10}]}],
        "Stop": [],
        "Notification": [{"hooks": [{"type": "command", "command": "notify-send 'it\\'s done"}]}, "odd"],
    },
    "model": "größer",
}
FORMS = [
    json.dumps(OTHERS, indent=2, ensure_ascii=False) + "\n",
    json.dumps(OTHERS, indent="\t") + "\n",
    json.dumps(OTHERS),
    '{"permissions": {"allow": ["Bash(ls:*)",\n      "Bash(cat:*)"]}}\n\n',
    '{"hooks": {}}',
    '{"hooks": {"PreToolUse": []}}\n',
    "{}\r\n",
    "",
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


def handlers(settings: dict[str, Any], event: str) -> list[tuple[str, str]]:
    entries = settings["hooks"][event]
    return [(entry.get("matcher", ""), h["command"]) for entry in entries for h in entry["hooks"]]


def test_a_new_file_registers_every_event_with_a_command_that_works_anywhere(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = tmp_path / ".claude" / "settings.local.json"
    done = install(path, environ)
    assert (done.file, done.changed) == (str(path), True)
    settings = json.loads(path.read_text())
    assert list(settings) == ["hooks"]
    for event in ("PreToolUse", "PostToolUse", "PostToolUseFailure"):
        [(first, command), (second, same)] = handlers(settings, event)
        assert (first, second, command) == ("Bash", "mcp__.*", same)
    assert handlers(settings, "SessionEnd") == [("", command)]
    assert shlex.split(command) == [str(Path(sys.executable).with_name("pointsman")), "hook"]
    assert all(h["timeout"] == 5 for entries in settings["hooks"].values() for e in entries for h in e["hooks"])


@pytest.mark.parametrize("text", FORMS)
def test_taking_it_out_gives_back_the_very_bytes(tmp_path: Path, environ: dict[str, str], text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(text.encode())
    assert install(path, environ).changed
    assert uninstall(path, environ).changed
    assert path.read_bytes() == text.encode()
    assert not uninstall(path, environ).changed


def test_a_file_and_a_folder_that_were_not_there_are_gone_again(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / ".claude" / "settings.local.json"
    install(path, environ)
    uninstall(path, environ)
    assert not path.parent.exists()
    path.parent.mkdir()
    install(path, environ)
    uninstall(path, environ)
    assert list(path.parent.iterdir()) == []


def test_other_hooks_and_unknown_keys_stay_where_they_are(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(FORMS[1], "utf-8")
    install(path, environ)
    text = path.read_text("utf-8")
    settings = json.loads(text)
    assert list(settings) == list(OTHERS)
    assert settings["permissions"] == OTHERS["permissions"]
    assert settings["hooks"]["Notification"] == OTHERS["hooks"]["Notification"]
    assert handlers(settings, "PreToolUse")[0] == ("Bash", "./guard.sh")
    assert '\n\t"permissions"' in text


def test_what_changed_meanwhile_stays_when_it_is_taken_out(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(FORMS[0], "utf-8")
    install(path, environ)
    settings = json.loads(path.read_text("utf-8"))
    settings["model"] = "changed"
    settings["hooks"]["PreToolUse"][1]["hooks"].append({"type": "command", "command": "./joined.sh"})
    path.write_text(json.dumps(settings, indent=2))
    uninstall(path, environ)
    left = json.loads(path.read_text("utf-8"))
    assert left["model"] == "changed"
    assert handlers(left, "PreToolUse") == [("Bash", "./guard.sh"), ("Bash", "./joined.sh")]
    assert "PostToolUse" not in left["hooks"]


def test_installing_again_changes_nothing_and_mends_an_older_installation(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(FORMS[0], "utf-8")
    install(path, environ)
    once = path.read_bytes()
    assert not install(path, environ).changed
    assert path.read_bytes() == once
    path.write_bytes(once.replace(str(Path(sys.executable).parent).encode(), b"/gone/bin"))
    assert install(path, environ).changed
    assert path.read_bytes() == once
    uninstall(path, environ)
    assert path.read_text("utf-8") == FORMS[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"hooks": ', "not valid JSON"),
        ('{"model": "x", // a comment\n}', "not valid JSON"),
        ("[]", "no settings with lists of hooks"),
        ('{"hooks": []}', "no settings with lists of hooks"),
        ('{"hooks": {"PreToolUse": {}}}', "no settings with lists of hooks"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
@pytest.mark.parametrize("change", [install, uninstall], ids=["install", "uninstall"])
def test_a_file_that_is_not_understood_is_left_alone(
    tmp_path: Path, environ: dict[str, str], text: str | bytes, said: str, change: Any
) -> None:
    path = tmp_path / "settings.json"
    written = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(written)
    with pytest.raises(NotWritten, match=said):
        change(path, environ)
    assert path.read_bytes() == written


def test_a_link_stays_a_link_and_rights_stay_as_they_are(tmp_path: Path, environ: dict[str, str]) -> None:
    real, link = tmp_path / "dotfiles.json", tmp_path / "settings.json"
    real.write_text("{}")
    real.chmod(0o600)
    link.symlink_to(real)
    install(link, environ)
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert "PreToolUse" in real.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dotfiles.json", "settings.json", "state"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritten, match="cannot be"):
        install(tmp_path / "file" / "settings.json", environ)


def test_the_file_that_is_meant() -> None:
    def meant(file: Path | None = None, *, user: bool = False, project: bool = False, **environ: str) -> str:
        return str(settings_path(file, user=user, project=project, environ=environ))

    assert meant() == ".claude/settings.local.json"
    assert meant(project=True) == ".claude/settings.json"
    assert meant(user=True) == os.path.expanduser("~/.claude/settings.json")
    assert meant(user=True, CLAUDE_CONFIG_DIR="/etc/agent") == "/etc/agent/settings.json"
    assert meant(Path("x.json")) == "x.json"
    with pytest.raises(NotWritten, match="exclude each other"):
        meant(user=True, project=True)
