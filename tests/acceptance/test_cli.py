"""The command line against a real server: every command, for people and for machines, and its exit codes."""

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane import __version__
from controlplane.cli import program
from controlplane.settings import table

from ..tampering import SEAL, tamper

Start = Any
Run = Callable[..., subprocess.CompletedProcess[str]]
NO_ADDRESSES = ("http://", "https:///x", "http://[::1", "http://h:99999/", "http://h:0/", "http://h:secret/")
DONE, REFUSED, WRONG_USAGE, UNREACHABLE = 0, 1, 2, 3


@pytest.fixture
def ask(start: Start, cli: Run) -> Callable[..., Any]:
    """Runs a command with --json against a server of its own; its answer."""
    server = start()

    def run(*arguments: str) -> Any:
        done = cli(*arguments, "--url", server.url, "--json")
        assert done.returncode == DONE, done.stderr
        return json.loads(done.stdout)

    run.server = server
    return run


def test_deciding_reporting_and_asking_why(ask: Callable[..., Any]) -> None:
    decided = ask("decide", "kubectl apply -f x.yaml", "--goal", "deploy", "--task-id", "t")
    assert (decided["action"], decided["task_id"], decided["abstained"]) == ("PROCEED", "t", True)
    reported = ask("feedback", decided["trace_id"], "--no-success", "--latency-ms", "12.5", "--cost", "0.1",
                   "--failures", "1", "--terminal")  # fmt: skip
    assert (reported["updated"], reported["reward"]) == (True, -1.1)
    assert ask("feedback", decided["trace_id"], "--no-success", "--latency-ms", "12.5", "--cost", "0.1",
               "--failures", "1", "--terminal")["duplicate"] is True  # fmt: skip
    sentences = ask("why", decided["trace_id"])["sentences"]
    assert any("kubectl apply" in sentence for sentence in sentences)
    whole = ask.server.get(f"/v1/decisions/{decided['trace_id']}")
    assert whole["feedback"][0]["outcome"]["latency_ms"] == 12.5


def test_people_are_answered_in_words(start: Start, cli: Run) -> None:
    url = start().url
    decided = cli("decide", "make deploy", "--url", url)
    assert "PROCEED  Nothing similar is remembered: unknown, not safe." in decided.stdout
    trace_id = next(word for word in decided.stdout.split() if word.startswith("tr_"))
    reported = cli("feedback", trace_id, "--success", "--url", url)
    assert "updated: True" in reported.stdout
    assert "Reward 1" in reported.stdout
    why = cli("why", trace_id, "--url", url)
    assert "Asked at gate: 'make deploy'." in why.stdout
    assert (decided.returncode, reported.returncode, why.returncode) == (DONE, DONE, DONE)


def test_checkpoints_are_kept_listed_compared_restored_and_pruned(ask: Callable[..., Any], cli: Run) -> None:
    created = ask("checkpoint", "create", "before")
    trace_id = ask("decide", "ls")["trace_id"]
    ask("feedback", trace_id, "--success")
    assert [c["name"] for c in ask("checkpoint", "list")] == ["before"]
    table_shown = cli("checkpoint", "list", "--url", ask.server.url)
    assert created["checkpoint_id"][:20] in table_shown.stdout
    compared = ask("checkpoint", "diff", created["checkpoint_id"])
    assert (compared["after"], compared["changed"]) == ("now", 0)
    assert "0 state(s) changed" in cli("checkpoint", "diff", "now", "now", "--url", ask.server.url).stdout
    restored = ask("checkpoint", "restore", created["checkpoint_id"])
    assert (restored["restored_to"], restored["unlearnt_events"]) == (created["seq"], 2)
    pruned = ask("checkpoint", "prune", "--keep", "1")
    assert pruned == {"pruned": [], "freed_bytes": 0}
    assert "0 checkpoint(s) pruned" in cli("checkpoint", "prune", "--keep", "1", "--url", ask.server.url).stdout
    said = cli("checkpoint", "restore", created["checkpoint_id"], "--url", ask.server.url)
    assert "0 later event(s) are no longer learnt" in said.stdout


def test_rebuilding_verifies_beside_a_server_and_writes_without_one(start: Start, cli: Run) -> None:
    server = start()
    for _ in range(3):
        trace_id = server.post("/v1/decisions", {"planned_action": "ls"})["trace_id"]
        server.post("/v1/feedback", {"trace_id": trace_id, "outcome": {"success": True}})
    nothing = cli("rebuild", "--verify")
    assert nothing.returncode == REFUSED
    assert "no recovery file to compare with" in nothing.stderr
    held = cli("rebuild")
    assert held.returncode == REFUSED
    assert "another Pointsman uses" in held.stderr
    assert server.end() == 0

    verified = cli("rebuild", "--verify", "--json")
    report = json.loads(verified.stdout)
    assert verified.returncode == DONE
    assert (report["differences"], report["events"]) == ([], report["seq"])
    assert "bit-identical to recovery-" in cli("rebuild", "--verify").stdout
    shutil.rmtree(server.folder / "recovery")
    assert "a fresh recovery file is written" in cli("rebuild").stdout
    assert cli("rebuild", "--verify").returncode == DONE


def test_a_verification_that_finds_a_difference_is_a_failure(start: Start, cli: Run) -> None:
    server = start()
    trace_id = server.post("/v1/decisions", {"planned_action": "ls"})["trace_id"]
    server.post("/v1/feedback", {"trace_id": trace_id, "outcome": {"success": True}})
    assert server.end() == 0
    lie = """UPDATE events SET payload = CAST(replace(payload, '"success":true', '"success":false') AS BLOB)"""
    tamper(server.folder, f"{lie} WHERE kind = 'feedback'")
    tamper(server.folder, SEAL)
    found = cli("rebuild", "--verify", "--json")
    assert found.returncode == REFUSED
    report = json.loads(found.stdout)
    assert report["verdict"] == "DIFFERENT from what the server wrote"
    assert "the learnt state of tenant 'default' differs" in report["differences"]
    assert "keep both and report it" in found.stderr


def test_without_a_server_a_command_says_so_with_exit_code_3(cli: Run) -> None:
    for command in (
        ("decide", "ls"), ("feedback", "tr_x", "--success"), ("why", "tr_x"), ("checkpoint", "list"),
        ("checkpoint", "create"), ("checkpoint", "restore", "cp_x"), ("checkpoint", "diff", "cp_x"),
        ("checkpoint", "prune", "--keep", "1"),
    ):  # fmt: skip
        gone = cli(*command, "--json", POINTSMAN_PORT="9")
        assert gone.returncode == UNREACHABLE, command
        assert gone.stdout == ""
        assert "no server answers at http://127.0.0.1:9" in gone.stderr
        assert "start one with `pointsman serve`" in gone.stderr


@pytest.mark.parametrize("url", ["nonsense", "http://[", "http://127.0.0.1:99999", "ftp://127.0.0.1"])
def test_an_address_that_is_none_is_unreachable_too(cli: Run, url: str) -> None:
    gone = cli("why", "tr_x", "--url", url)
    assert gone.returncode == UNREACHABLE
    assert "no server answers" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_a_key_that_cannot_be_sent_is_not_taken_for_a_server_that_is_gone(cli: Run) -> None:
    for key in ("ключ", "pm_live_a\nb"):
        refused = cli("decide", "ls", POINTSMAN_API_KEY=key)
        assert refused.returncode == REFUSED
        assert "the key in POINTSMAN_API_KEY has characters that no key has" in refused.stderr


def test_what_belongs_to_another_user_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Played, for tests may run as a user who may read everything."""

    def refused() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/journal.db")

    monkeypatch.setattr(program, "app", refused)
    with pytest.raises(SystemExit, match="1"):
        program.main()
    assert "/srv/journal.db: Permission denied; run this as the user it belongs to" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("archive", "--keep", "1"), ("rebuild",)])
def test_a_journal_that_cannot_be_opened_is_told_in_one_line(
    cli: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "data" / "journal.db").mkdir(parents=True)
    refused = cli(*command)
    assert refused.returncode == REFUSED
    assert refused.stderr.splitlines() == [
        "pointsman: the journal cannot be opened (unable to open database file); "
        "see to the disk and the permissions of the data folder"
    ]


def test_a_ping_tells_by_its_exit_code_whether_a_server_answers(start: Start, cli: Run) -> None:
    answered = cli("ping", "--url", start().url)
    assert (answered.returncode, answered.stdout) == (DONE, "alive\n")
    assert cli("ping", "--url", "http://127.0.0.1:1").returncode == UNREACHABLE


def test_an_empty_host_is_no_address_to_listen_on(cli: Run) -> None:
    refused = cli("serve", "--port", "0", "--host", "")
    assert refused.returncode == REFUSED
    assert "POINTSMAN_HOST='': Expected `str` of length >= 1" in refused.stderr


def test_an_address_of_another_machine_is_blamed_on_the_host(cli: Run) -> None:
    refused = cli("serve", "--port", "0", "--host", "192.0.2.1")
    assert refused.returncode == REFUSED
    assert "set POINTSMAN_HOST" in refused.stderr


def test_no_text_commands_the_terminal(start: Start, cli: Run) -> None:
    server = start()
    server.post("/v1/checkpoints", {"name": "\x1b]0;mine\x07 \u202eback"}, 201)
    trace_id = server.post("/v1/decisions", {"planned_action": "make \x1b[2J"})["trace_id"]
    shown = cli("checkpoint", "list", "--url", server.url, COLUMNS="200").stdout
    assert r"\x1b]0;mine\x07 \u202eback" in shown
    told = cli("why", trace_id, "--url", server.url).stdout
    assert r"\x1b[2J" in told
    assert "\x1b" not in shown + told


def test_a_refusal_is_told_with_exit_code_1(start: Start, cli: Run) -> None:
    url = start().url
    for command, said in (
        (("why", "tr_unknown"), "No decision has this trace_id"),
        (("feedback", "tr_unknown", "--success"), "No decision has this trace_id"),
        (("feedback", "tr_unknown", "--cost", "-1"), "Expected `float` >= 0.0"),
        (("checkpoint", "restore", "cp_unknown"), "No checkpoint has this id"),
        (("decide", ""), "planned_action: Expected `str` of length >= 1"),
    ):
        refused = cli(*command, "--url", url)
        assert refused.returncode == REFUSED, command
        assert said in refused.stderr
        assert refused.stdout == ""


def test_wrong_usage_is_told_with_exit_code_2(cli: Run) -> None:
    for command in (("teleport",), ("decide",), ("feedback", "tr_x", "--latency-ms", "soon"), ("serve", "--port", "x")):
        assert cli(*command).returncode == WRONG_USAGE, command


def test_the_settings_are_shown_with_their_values_and_meaning(cli: Run) -> None:
    shown = cli("config", "show", "--json", POINTSMAN_EPSILON="0.25")
    rows = {row["setting"]: row for row in json.loads(shown.stdout)}
    assert set(rows) == {described.env for described in table()}
    assert (rows["POINTSMAN_EPSILON"]["value"], rows["POINTSMAN_EPSILON"]["default"]) == (0.25, None)
    assert all(row["help"] for row in rows.values())
    assert "POINTSMAN_EPSILON" in cli("config", "show").stdout


def test_good_settings_are_confirmed_with_their_hash(cli: Run) -> None:
    checked = [json.loads(cli("config", "check", "--json", POINTSMAN_EPSILON=e).stdout) for e in ("0.1", "0.1", "0.2")]
    assert all(answer["ok"] for answer in checked)
    assert checked[0]["hash"] == checked[1]["hash"] != checked[2]["hash"]
    assert "The settings are fine" in cli("config", "check").stdout


@pytest.mark.parametrize(
    "command", [("config", "check"), ("config", "show"), ("serve", "--port", "0"), ("decide", "ls")]
)
def test_an_unknown_setting_is_named_with_the_one_that_was_meant(cli: Run, command: tuple[str, ...]) -> None:
    refused = cli(*command, POINTSMAN_EPSILO="0.5")
    assert refused.returncode == REFUSED
    assert "'epsilo', which is no setting; did you mean 'epsilon'?" in refused.stderr
    assert refused.stdout == ""


def test_bad_values_are_named_with_what_they_take(cli: Run, tmp_path: Path) -> None:
    for variable, value, said in (
        ("POINTSMAN_EPSILON", "2", "Expected `float` <= 1"),
        ("POINTSMAN_PORT", "http", "Expected `int`"),
        ("POINTSMAN_GATE_MODE", "bold", "it takes learning, apprentice, frozen"),
        ("POINTSMAN_CACHE_TTL_S", "0", "Expected `float` > 0"),
        ("POINTSMAN_EMBEDDER", "minlm", "there are minilm, minilm-int8, openai, hashing, openai:MODEL, a folder, and"),
        ("POINTSMAN_EMBEDDER", "Hash", "did you mean 'hashing'?"),
        ("POINTSMAN_EMBEDDER", "openai", "set POINTSMAN_OPENAI_API_KEY"),
        ("POINTSMAN_EPSILON", "nan", "POINTSMAN_EPSILON='nan'"),
        *(("POINTSMAN_ALARM_URL", url, f"takes {url.partition(':')[0]}://HOST/...") for url in NO_ADDRESSES),
        ("POINTSMAN_BROKER_URL", "http://secret@h", "Expected `str` matching regex '^(nats|tls)://'"),
        ("POINTSMAN_BROKER_URL", "nats://secret@h:0", "takes nats://HOST/..."),
    ):
        refused = cli("config", "check", **{variable: value})
        assert refused.returncode == REFUSED, variable
        assert variable in refused.stderr
        assert said in refused.stderr
        assert "secret" not in refused.stderr
    (tmp_path / "pointsman.toml").write_text('host = "0.0.0.0"\ninsecure_local = true\n')
    assert "without keys (--insecure-local) only loopback is served" in cli("config", "check").stderr
    (tmp_path / "pointsman.toml").write_text("epsilon = 0.3\ngama = 0.9\n")
    assert "did you mean 'gamma'?" in cli("config", "check").stderr
    (tmp_path / "pointsman.toml").write_text("epsilon = \n")
    assert "pointsman.toml is not valid TOML" in cli("config", "check").stderr
    (tmp_path / "other.toml").write_text("epsilon = 0.3\n")
    assert cli("config", "check", "--file", "other.toml").returncode == DONE
    assert "there is no settings file" in cli("config", "check", "--file", "absent.toml").stderr
    refused = cli("config", "check", "--file", str(tmp_path))
    assert (refused.returncode, "Traceback" in refused.stderr) == (REFUSED, False)
    assert "cannot be read: Is a directory" in refused.stderr


def test_the_command_is_installed_and_says_what_it_can_do() -> None:
    script = str(Path(sys.executable).parent / "pointsman")
    version = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == __version__
    shown = subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout
    for command in ("serve", "demo", "decide", "feedback", "why", "checkpoint", "rebuild", "config"):
        assert command in shown
