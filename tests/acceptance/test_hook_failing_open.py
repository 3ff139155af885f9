"""When anything is wrong, the agent goes on as if nobody had been asked: exit code 0, nothing on standard output."""

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from controlplane.hook.streams import MOST

from .conftest import PATIENCE_S, environment
from .hooked import AS_SHIPPED, PATIENT, Agent, Said, git_repository

ROOT = Path(__file__).parents[2]


@contextmanager
def listener(answer: bytes | None = None) -> Iterator[int]:
    """A port where something listens and says `answer` to whoever asks, or nothing at all."""

    def serve(server: socket.socket, said: bytes) -> None:
        with server.accept()[0] as connection, suppress(OSError):  # whoever asked may be gone
            connection.recv(65536)
            connection.sendall(said)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = server.getsockname()
        if answer is None:
            yield address[1]
            return
        answering = Thread(target=serve, args=(server, answer))
        answering.start()
        yield address[1]
        socket.create_connection(address).close()  # nobody may have come
        answering.join()


@contextmanager
def nobody() -> Iterator[int]:
    """A port that is taken and not listened on: connections are refused."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return git_repository(tmp_path / "shop", "topic")


def without_opinion(said: Said, why: str) -> None:
    assert said.output == {}
    assert len(said.errors.splitlines()) == 1, said.errors
    assert said.errors.startswith("pointsman hook: ")
    assert why in said.errors


def test_without_a_server_every_event_is_let_through(shop: Path, tmp_path: Path) -> None:
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path)
        gone = f"no server answers at 127.0.0.1:{port} (Connection refused)"
        without_opinion(agent.before("git push"), gone)
        without_opinion(agent.failed("git push", "Exit code 1\nrejected"), gone)
        assert agent.worked("git push").errors == ""  # nobody was asked, so there is nothing to report
        assert agent.ends().errors == ""
    assert agent.notes() == []


def test_a_server_that_never_answers_is_not_waited_for(shop: Path, tmp_path: Path) -> None:
    """A busy machine may need the whole time for starting; that is said too."""
    with listener() as port:
        agent = Agent(shop, "s", port, tmp_path, AS_SHIPPED)
        without_opinion(agent.before("git push"), "going on without")
        without_opinion(agent.failed("git push", "Exit code 1\nrejected"), "no answer in time")


def test_an_event_that_is_never_told_to_its_end_is_not_waited_for(shop: Path, tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(AS_SHIPPED, cwd=shop, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write('{"session_id": "s", ')
        process.stdin.flush()
        assert process.wait(PATIENCE_S) == 0
        assert (process.stdout.read(), "going on without" in process.stderr.read()) == ("", True)


SLOW_START = ["sh", "-c", f"sleep 0.2; exec {shlex.join(AS_SHIPPED)}"]  # the same process, as old as its shell
DENIED = json.dumps({"action": "BLOCK", "trace_id": "tr_1", "hints": [], "risk": 0.9, "evidence": 3}).encode()
NOTED = b'{"episode_id": 5}'


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def test_a_slow_start_counts_and_leaves_a_report_its_time(shop: Path, tmp_path: Path) -> None:
    with listener(ok(DENIED)) as port:
        late = Agent(shop, "s", port, tmp_path, SLOW_START)
        without_opinion(late.before("git push"), "took all the time there is")
    with listener(ok(NOTED)) as port:
        late = Agent(shop, "s", port, tmp_path, SLOW_START)
        assert late.failed("git push", "Exit code 128\nno upstream").errors == ""
    assert len(late.notes()) == 1


def test_an_event_too_large_to_be_one_is_let_through(shop: Path, tmp_path: Path) -> None:
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path)
        without_opinion(agent.before("echo " + "x" * MOST), f"larger than {MOST} bytes")


DAMAGES = ["2>&-", ">&-", "<&-", "2>/dev/full", ">/dev/full", "<&- >&- 2>&-", "| true"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("entry", [PATIENT, AS_SHIPPED], ids=["patient", "as_shipped"])
def test_whatever_becomes_of_its_streams_it_ends_well(
    shop: Path, tmp_path: Path, damage: str, entry: list[str]
) -> None:
    """An agent reads exit code 2 as a denial, and others as an error of ours."""
    told = shlex.quote(Agent(shop, "s", 0, tmp_path).event("PreToolUse", "git push"))
    with listener(ok(DENIED)) as port:
        variables = {"POINTSMAN_PORT": str(port), "XDG_STATE_HOME": str(tmp_path)}
        ran = subprocess.run(
            ["bash", "-c", f"printf %s {told} | {shlex.join(entry)} {damage}; exit ${{PIPESTATUS[1]}}"],
            cwd=shop, env=environment(tmp_path, **variables), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr


@pytest.mark.parametrize("words", [["foo"], ["--bar"], ["uninstal", "--user"]], ids=" ".join)
def test_words_nobody_knows_are_passed_over(shop: Path, tmp_path: Path, words: list[str]) -> None:
    """The command line would end with exit code 2, which denies the call."""
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path, [*AS_SHIPPED, *words])
        without_opinion(agent.failed("git push", "Exit code 1\nrejected"), "no server answers")


PROBLEM = b'{"code":"embedder_loading","detail":"the model is still loading"}'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"\x00\xff" * 40_000, "does not speak HTTP"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n", "is no Pointsman"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", "is no Pointsman"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is no Pointsman"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 15\r\n\r\n<html>no</html>", "is no Pointsman"),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%s" % (len(PROBLEM), PROBLEM),
            "refused with 503 embedder_loading",
        ),
    ],
    ids=lambda said: None if isinstance(said, str) else said[:20].decode("latin-1").strip() or "nothing",
)
def test_whatever_else_listens_there_is_not_obeyed(shop: Path, tmp_path: Path, answer: bytes, why: str) -> None:
    with listener(answer) as port:
        without_opinion(Agent(shop, "s", port, tmp_path).before("git push"), why)


def test_an_answer_without_a_verdict_is_no_opinion(shop: Path, tmp_path: Path) -> None:
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port:
        assert Agent(shop, "s", port, tmp_path).before("git push").output == {}


@pytest.mark.parametrize("told", ["", "nonsense", "[]", "{}", '{"session_id": "s"', '{"session_id": "s"}', "\x00"])
def test_what_is_no_event_is_let_through(shop: Path, tmp_path: Path, told: str) -> None:
    with nobody() as port:
        without_opinion(Agent(shop, "s", port, tmp_path).tell(told), "Error: ")


def test_events_nobody_asked_for_and_calls_without_a_plan_are_passed_over(shop: Path, tmp_path: Path) -> None:
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path)
        for told in (agent.event("UserPromptSubmit", prompt="push it"), agent.event("PreToolUse", tool_input={})):
            said = agent.tell(told)
            assert (said.output, said.errors) == ({}, "")


def test_an_answer_is_given_even_if_nothing_can_be_noted(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "pointsman").write_text("a file where the state's folder would be")
    with listener(ok(DENIED)) as port:
        said = Agent(shop, "s", port, tmp_path).before("git push")
    assert said.permission == "deny"
    assert "this call cannot be reported" in said.errors


def note(state: Path, text: str) -> None:
    """What an installation noted of the server."""
    (state / "pointsman").mkdir()
    (state / "pointsman" / "server.json").write_text(text)


@pytest.mark.parametrize(
    ("noted", "why"),
    [
        ('{"port": "http"}', "server.json is 'http', which is no port"),
        ('{"port": 0}', "server.json is 0, which is no port"),
        ('{"port": ', "server.json cannot be read"),
        ('{"host": "192.0.2.1"}', "192.0.2.1 is not this machine"),
    ],
)
def test_commands_are_told_to_no_other_machine_and_bad_notes_are_let_through(
    shop: Path, tmp_path: Path, noted: str, why: str
) -> None:
    note(tmp_path, noted)
    agent = Agent(shop, "s", 0, tmp_path)
    agent.without_port()
    without_opinion(agent.before("git push"), why)


def test_a_bad_port_names_the_variable_it_comes_from(shop: Path, tmp_path: Path) -> None:
    without_opinion(Agent(shop, "s", 99999, tmp_path).before("git push"), "POINTSMAN_PORT is 99999, which is no port")


def test_a_file_in_a_strangers_repository_does_not_steer_the_hook(shop: Path, tmp_path: Path) -> None:
    with listener(ok(DENIED)) as theirs, nobody() as ours:
        (shop / "pointsman.toml").write_text(f"port = {theirs}\nhost = 'localhost'\napi_key = 'x'\n")
        note(tmp_path, json.dumps({"host": "localhost", "port": ours, "api_key": ""}))
        agent = Agent(shop, "s", 0, tmp_path)
        agent.without_port()
        without_opinion(agent.before("git push"), f"no server answers at localhost:{ours}")


def test_a_variable_wins_over_what_was_noted(shop: Path, tmp_path: Path) -> None:
    note(tmp_path, '{"host": "localhost", "port": 9, "api_key": ""}')
    with nobody() as port:
        without_opinion(Agent(shop, "s", port, tmp_path).before("git push"), f"no server answers at localhost:{port}")


LIGHT = """
import sys; bare = set(sys.modules)
from controlplane.__main__ import main
sys.argv = ["pointsman", "hook"]; main()
print(*sorted(set(sys.modules) - bare), file=sys.stderr)
"""
HEAVY = {"asyncio", "http", "ssl", "dataclasses", "urllib.request", "logging", "sqlite3", "unittest"}


@pytest.mark.parametrize("name", ["PreToolUse", "PostToolUse", "PostToolUseFailure", "SessionEnd"])
def test_an_events_way_loads_no_library_and_no_server(shop: Path, tmp_path: Path, name: str) -> None:
    """Started at every call, it is paid for at every call."""
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path, [sys.executable, "-c", LIGHT])
        said = agent.tell(agent.event(name, "git push", error="Exit code 1", tool_response={}))
    loaded = set(said.errors.splitlines()[-1].split())
    assert "controlplane.hook.run" in loaded
    assert {module for module in loaded if module.partition(".")[0] not in sys.stdlib_module_names} == {
        module for module in loaded if module.startswith("controlplane")
    }
    assert not {module for module in loaded if module.startswith("controlplane.") and "hook" not in module} - {
        "controlplane.__main__"
    }
    assert not loaded & HEAVY


def test_the_installed_command_answers_events_and_shows_people_its_help(shop: Path, tmp_path: Path) -> None:
    script = str(Path(sys.executable).with_name("pointsman"))
    with nobody() as port:
        without_opinion(Agent(shop, "s", port, tmp_path, [script, "hook"]).failed("git push", ""), "no server answers")
    shown = subprocess.run([script, "hook", "--help"], capture_output=True, text=True, check=True).stdout
    assert "install" in shown
    assert "uninstall" in shown
