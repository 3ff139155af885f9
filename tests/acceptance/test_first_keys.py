"""The first start with keys, as an operator lives it: what is printed, pasted, made, replaced and revoked."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import PATIENCE_S, environment
from .hooked import PATIENT

Cli = Callable[..., subprocess.CompletedProcess[str]]


class Keyed:
    """A server that was started for the first time, and everything it printed."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._log = folder.parent / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "controlplane", "serve", "--port", "0"],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder.parent, env=environment(folder, **variables),
            )  # fmt: skip
        assert self.process.stdout is not None
        self.printed = ""
        while "planned_action" not in self.printed:
            line = self.process.stdout.readline()
            assert line, self._log.read_text()
            self.printed += line
        self.url = re.findall(r"http://\S+", self.printed)[0]
        [self.admin] = set(re.findall(r"pm_admin_\w+", self.printed))
        [self.tenant] = set(re.findall(r"pm_live_\w+", self.printed))

    @property
    def logged(self) -> str:
        """What it wrote to its log so far."""
        return self._log.read_text()

    def close(self) -> str:
        """Stop it; what it logged."""
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)
        return self.logged


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Keyed]:
    made = Keyed(tmp_path / "data")
    yield made
    made.close()


def test_what_the_first_start_prints_works_when_pasted(keyed: Keyed, tmp_path: Path) -> None:
    pasted = keyed.printed[keyed.printed.index("export ") :]
    done = subprocess.run(["sh", "-c", pasted], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert '"action":"PROCEED"' in done.stdout
    logged = keyed.close()
    assert [key for key in (keyed.admin, keyed.tenant) if key in logged] == []
    assert {oct(file.stat().st_mode & 0o077) for file in (tmp_path / "data").rglob("*") if file.is_file()} == {"0o0"}


def test_the_keys_are_shown_once(keyed: Keyed, cli: Cli, tmp_path: Path) -> None:
    keyed.close()
    second = subprocess.Popen(
        [sys.executable, "-m", "controlplane", "serve", "--port", "0"],
        stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment(tmp_path / "data"),
    )  # fmt: skip
    assert second.stdout is not None
    url = second.stdout.readline().split()[-1]
    done = cli("decide", "ls", "--url", url, POINTSMAN_API_KEY=keyed.tenant)
    second.terminate()
    rest, _ = second.communicate(timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert "pm_" not in rest


def test_an_operator_makes_replaces_and_revokes_a_key(keyed: Keyed, cli: Cli) -> None:
    def run(*words: str, **variables: str) -> str:
        done = cli(*words, "--url", keyed.url, **{"POINTSMAN_ADMIN_API_KEY": keyed.admin, **variables})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("tenants", "set", "acme", "--tier", "pro") == "tenant acme has the tier pro and the fail mode closed"
    first = run("keys", "create", "acme", "--name", "ci", "--scope", "decide", "--scope", "read")
    assert "PROCEED" in run("decide", "ls", POINTSMAN_API_KEY=first)
    second = run("keys", "rotate", first.split("_")[2], "--overlap-s", "0")
    assert "PROCEED" in run("decide", "ls", POINTSMAN_API_KEY=second)
    refused = cli("decide", "ls", "--url", keyed.url, POINTSMAN_API_KEY=first)
    assert (refused.returncode, "has ended" in refused.stderr) == (1, True)
    assert "is revoked" in run("keys", "revoke", second.split("_")[2])
    assert cli("decide", "ls", "--url", keyed.url, POINTSMAN_API_KEY=second).returncode == 1
    assert "acme" in run("keys", "list")


def test_a_command_without_a_key_says_which_setting_it_wants(keyed: Keyed, cli: Cli) -> None:
    for words, setting in ((("decide", "ls"), "POINTSMAN_API_KEY"), (("keys", "list"), "POINTSMAN_ADMIN_API_KEY")):
        refused = cli(*words, "--url", keyed.url)
        assert refused.returncode == 1
        assert f"set {setting}" in refused.stderr


def test_config_show_hides_the_keys(keyed: Keyed, cli: Cli) -> None:
    for form in ((), ("--json",)):
        shown = cli("config", "show", *form, POINTSMAN_API_KEY=keyed.tenant, POINTSMAN_ADMIN_API_KEY=keyed.admin).stdout
        assert "pm_" not in shown
        assert "hidden" in shown


def test_the_hook_sends_the_key(keyed: Keyed, tmp_path: Path) -> None:
    event = '{"session_id": "s", "cwd": "/", "hook_event_name": "PreToolUse", "tool_use_id": "c", "tool_name": "Bash", '
    event += '"tool_input": {"command": "git push", "description": "Push"}}'
    for key, said in ((keyed.tenant, ""), ("", "401 unauthorized")):
        where = {
            "POINTSMAN_PORT": keyed.url.rsplit(":", 1)[1],
            "POINTSMAN_API_KEY": key,
            "XDG_STATE_HOME": str(tmp_path),
        }
        done = subprocess.run(
            PATIENT,
            input=event, capture_output=True, text=True, env={**os.environ, **where}, cwd=tmp_path, check=True,
        )  # fmt: skip
        assert done.stdout == ""
        assert said in done.stderr
        assert bool(done.stderr) == bool(said)


def test_installing_the_hook_says_whether_the_server_takes_the_key(keyed: Keyed, cli: Cli, tmp_path: Path) -> None:
    """The hook then sends it without any variable."""
    places = {"POINTSMAN_PORT": keyed.url.rsplit(":", 1)[1], "XDG_STATE_HOME": str(tmp_path / "state")}
    for key, said in (
        ("", "Warning: the server wants a key: set POINTSMAN_API_KEY"),
        ("pm_live_no_such", "Warning: "),
        (keyed.tenant, ""),
    ):
        done = cli("hook", "install", POINTSMAN_API_KEY=key, **places)
        assert (done.returncode, "Warning" in done.stdout) == (0, bool(said)), done.stderr
        assert f"The hook asks {keyed.url}." in done.stdout
        assert said in done.stdout
    event = '{"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "ls"}}'
    where = environment(tmp_path, XDG_STATE_HOME=places["XDG_STATE_HOME"])
    done = subprocess.run(PATIENT, input=event, capture_output=True, text=True, env=where, cwd="/", check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_an_operator_reads_what_was_done_and_by_whom(keyed: Keyed, cli: Cli) -> None:
    admin = {"POINTSMAN_ADMIN_API_KEY": keyed.admin}
    assert cli("tenants", "set", "acme", "--url", keyed.url, **admin).returncode == 0
    shown = cli("audit", "--url", keyed.url, COLUMNS="200", **admin)
    assert shown.returncode == 0, shown.stderr
    rows = [line for line in shown.stdout.splitlines() if "tenant_set" in line or "key_issued" in line]
    assert len(rows) == 4
    assert "acme" in rows[0]
    assert keyed.admin.split("_")[2] in rows[0], "newest first, with the key that asked"
    assert "…" not in cli("audit", "--url", keyed.url, COLUMNS="80", **admin).stdout, "nothing is cut off"
    [act] = json.loads(cli("audit", "--tenant", "acme", "--json", "--url", keyed.url, **admin).stdout)
    assert (act["act"], act["about"], act["by"]) == ("tenant_set", "acme", keyed.admin.split("_")[2])
    older = cli("audit", "--before", str(act["seq"]), "--limit", "1", "--json", "--url", keyed.url, **admin)
    assert [one["seq"] < act["seq"] for one in json.loads(older.stdout)] == [True]
    refused = cli("audit", "--url", keyed.url, POINTSMAN_ADMIN_API_KEY=keyed.tenant)
    assert refused.returncode == 1
