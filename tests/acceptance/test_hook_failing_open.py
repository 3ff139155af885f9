"""When anything is wrong, the agent goes on as if nobody had been asked: exit code 0, nothing on standard output."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest

from .hooked import AS_SHIPPED, Agent, Said, git_repository

ROOT = Path(__file__).parents[2]


@contextmanager
def listener(answer: bytes | None = None) -> Iterator[int]:
    """A port where something listens and says `answer` to whoever asks, or nothing at all."""

    def serve(server: socket.socket, said: bytes) -> None:
        with server.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(said)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        if answer is not None:
            Thread(target=serve, args=(server, answer), daemon=True).start()
        yield server.getsockname()[1]


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
        agent = Agent(shop, "s", port, tmp_path, AS_SHIPPED)
        gone = f"no server answers at 127.0.0.1:{port} (Connection refused)"
        without_opinion(agent.before("git push"), gone)
        without_opinion(agent.failed("git push", "Exit code 1\nrejected"), gone)
        assert agent.worked("git push").errors == ""  # nobody was asked, so there is nothing to report
        assert agent.ends().errors == ""
    assert agent.notes() == []


def test_a_server_that_never_answers_is_not_waited_for(shop: Path, tmp_path: Path) -> None:
    with listener() as port:
        agent = Agent(shop, "s", port, tmp_path, AS_SHIPPED)
        without_opinion(agent.before("git push"), "no answer in time")
        without_opinion(agent.failed("git push", "Exit code 1\nrejected"), "no answer in time")


PROBLEM = b'{"code":"embedder_loading","detail":"the model is still loading"}'


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"\x00\xff" * 40_000, "does not speak HTTP"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n", "ValueError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{", "JSONDecodeError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "is no Pointsman"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 15\r\n\r\n<html>no</html>", "JSONDecodeError"),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%s" % (len(PROBLEM), PROBLEM),
            "refused with 503 embedder_loading",
        ),
    ],
    ids=lambda said: None if isinstance(said, str) else said[:20].decode("latin-1").strip() or "nothing",
)
def test_whatever_else_listens_there_is_not_obeyed(shop: Path, tmp_path: Path, answer: bytes, why: str) -> None:
    with listener(answer) as port:
        without_opinion(Agent(shop, "s", port, tmp_path, AS_SHIPPED).before("git push"), why)


def test_an_answer_without_a_verdict_is_no_opinion(shop: Path, tmp_path: Path) -> None:
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as port:
        assert Agent(shop, "s", port, tmp_path).before("git push").output == {}


@pytest.mark.parametrize("told", ["", "nonsense", "[]", "{}", '{"session_id": "s"', '{"session_id": "s"}', "\x00"])
def test_what_is_no_event_is_let_through(shop: Path, tmp_path: Path, told: str) -> None:
    with nobody() as port:
        without_opinion(Agent(shop, "s", port, tmp_path, AS_SHIPPED).tell(told), "Error: ")


def test_events_nobody_asked_for_and_calls_without_a_plan_are_passed_over(shop: Path, tmp_path: Path) -> None:
    with nobody() as port:
        agent = Agent(shop, "s", port, tmp_path, AS_SHIPPED)
        for told in (agent.event("UserPromptSubmit", prompt="push it"), agent.event("PreToolUse", tool_input={})):
            said = agent.tell(told)
            assert (said.output, said.errors) == ({}, "")


def test_an_answer_is_given_even_if_nothing_can_be_noted(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "pointsman").write_text("a file where the state's folder would be")
    body = json.dumps({"action": "BLOCK", "trace_id": "tr_1", "hints": [], "risk": 0.9, "evidence": 3}).encode()
    with listener(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        said = Agent(shop, "s", port, tmp_path).before("git push")
    assert said.permission == "deny"
    assert "this call cannot be reported" in said.errors


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("port = 'http'", "invalid literal"),
        ("port = ", "TOMLDecodeError"),
        ("host = '192.0.2.1'", "192.0.2.1 is not this machine"),
    ],
)
def test_commands_are_told_to_no_other_machine_and_bad_settings_are_let_through(
    shop: Path, tmp_path: Path, settings: str, why: str
) -> None:
    (shop / "pointsman.toml").write_text(settings)
    agent = Agent(shop, "s", 0, tmp_path, AS_SHIPPED)
    agent.without_port()
    without_opinion(agent.before("git push"), why)


def test_the_port_is_read_from_the_settings_file_where_no_variable_names_it(shop: Path, tmp_path: Path) -> None:
    with nobody() as port:
        (shop / "pointsman.toml").write_text(f"port = {port}\nhost = 'localhost'\n")
        agent = Agent(shop, "s", 0, tmp_path, AS_SHIPPED)
        agent.without_port()
        without_opinion(agent.before("git push"), f"no server answers at localhost:{port}")


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
        without_opinion(Agent(shop, "s", port, tmp_path, [script, "hook"]).before("git push"), "no server answers")
    shown = subprocess.run([script, "hook", "--help"], capture_output=True, text=True, check=True).stdout
    assert "install" in shown
    assert "uninstall" in shown
