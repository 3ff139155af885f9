"""`pointsman hook` between a coding agent and a real server: what is said before a call, and learnt after it.

The servers are shared; each test has sessions, a project and commands of its own.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .conftest import Process
from .hooked import Agent, git_repository, journalled

Agents = Callable[..., Agent]
UPSTREAM = "Exit code 128\nfatal: The current branch topic has no upstream branch."
RULE = {"POINTSMAN_GATE_MODE": "apprentice", "POINTSMAN_APPRENTICE_SHARE": "0"}  # the fixed rule alone: no draws
UNSAID = {"success": None, "latency_ms": None, "applied_suggestion": None, "executed": True, "overridden": False,
          "terminal": None, "cost": None, "failures": None, "slo_hit": None, "custom": {}}  # fmt: skip


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server whose rule never says BLOCK: HINT, and REWRITE where a fix is proven."""
    with closing(Process(tmp_path_factory.mktemp("lenient") / "data", **RULE, POINTSMAN_RULE_BLOCK="2")) as server:
        yield server


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server with the rule as it is: the same plan under the same conditions is blocked."""
    with closing(Process(tmp_path_factory.mktemp("strict") / "data", **RULE)) as server:
        yield server


@pytest.fixture
def agents(tmp_path: Path) -> Agents:
    """Sessions of one user in one project."""
    shop = git_repository(tmp_path / "shop", "topic")
    return lambda server, session: Agent.on(server, shop, session, tmp_path / "state")


def decisions(server: Process, *agents: Agent) -> list[dict[str, Any]]:
    """Every decision of these sessions in full, in order."""
    sessions = {agent.session for agent in agents}
    made = (event["trace"] for event in journalled(server, "decision"))
    ours = [trace["trace_id"] for trace in made if str(trace["task_id"]).split("/")[0] in sessions]
    return [server.get(f"/v1/decisions/{trace_id}") for trace_id in ours]


def told(decision: dict[str, Any]) -> list[dict[str, Any]]:
    """What was reported on it, without what was left unsaid."""
    outcomes = [report["outcome"] for report in decision["feedback"]]
    return [{name: value for name, value in outcome.items() if value != UNSAID[name]} for outcome in outcomes]


def episodes(server: Process, agent: Agent) -> list[dict[str, Any]]:
    """What a session captured, in order."""
    return [event["episode"] for event in journalled(server, "capture") if event["episode"]["task_id"] == agent.session]


def validations(server: Process, *agents: Agent) -> list[bool]:
    """Whether advice held, as told of these sessions' decisions."""
    ours = {decision["trace_id"] for decision in decisions(server, *agents)}
    return [event["success"] for event in journalled(server, "validation") if event["trace_id"] in ours]


def fail_then_solve(agent: Agent, plan: str, fix: str, error: str) -> None:
    """One session in which a command fails and another one of it works."""
    agent.before(plan)
    agent.failed(plan, error)
    agent.before(fix)
    agent.worked(fix)


def test_a_mistake_is_remembered_solved_hinted_at_and_then_rewritten(lenient: Process, agents: Agents) -> None:
    plan, fix = "git push", "git push --set-upstream origin HEAD"
    first, second, third = (agents(lenient, f"mistake-{i}") for i in "123")

    assert first.before(plan).output == {}
    assert first.failed(plan, UPSTREAM).output == {}
    assert first.before(fix).output == {}
    assert first.worked(fix, duration_ms=80).output == {}
    first.ends()
    failure, lesson = episodes(lenient, first)
    assert failure["error_trace"] == "fatal: The current branch topic has no upstream branch."
    assert {name: failure["environment"][name] for name in ("project", "folder", "branch")} == {
        "project": "shop", "folder": ".", "branch": "topic",
    }  # fmt: skip
    assert (failure["resolution"], lesson["resolution"]) == ("", fix)
    assert validations(lenient, first) == []  # noted, not proven

    hinted = second.before(plan)
    assert (hinted.permission, fix in hinted.text) == (None, True)
    second.failed(plan, UPSTREAM)  # an agent reads the hint when its call is already under way
    second.before(fix)
    second.worked(fix)
    second.ends()
    assert validations(lenient, second) == [True]

    rewritten = third.before(plan)
    assert (rewritten.permission, f'Suggested instead: "{fix}"' in rewritten.text) == ("ask", True)
    assert third.before(fix).output == {}  # declined, and the suggestion is run: nobody is asked twice
    third.worked(fix, duration_ms=90)
    third.ends()
    assert validations(lenient, third) == [True]

    found = decisions(lenient, first, second, third)
    assert [(d["request"]["planned_action"], d["heads"][0]["action"], told(d)) for d in found] == [
        (plan, "PROCEED", [{"success": False}]),
        (fix, "PROCEED", [{"success": True, "latency_ms": 80.0}, {"terminal": True}]),
        (plan, "HINT", [{"success": False, "applied_suggestion": False}]),
        (fix, "PROCEED", [{"success": True}, {"terminal": True}]),
        (plan, "REWRITE", [{"success": True, "latency_ms": 90.0, "applied_suggestion": True}, {"terminal": True}]),
    ]
    assert [d["pending"] for d in found] == [None] * 5
    assert third.notes() == []


def test_a_blocked_call_is_denied_with_the_fix_and_needs_no_report(strict: Process, agents: Agents) -> None:
    plan, fix = "git push", "git push --set-upstream origin HEAD"
    fail_then_solve(agents(strict, "block-1"), plan, fix, UPSTREAM)
    agent = agents(strict, "block-2")
    denied = agent.before(plan)
    assert (denied.permission, fix in denied.text) == ("deny", True)
    agent.before(fix)
    agent.worked(fix)
    agent.ends()
    blocked, followed = decisions(strict, agent)
    assert (told(blocked), blocked["reward"]["total_reward"]) == ([], -0.15)
    assert told(followed)[-1] == {"terminal": True}
    assert validations(strict, agent) == [True]


def test_a_block_that_ends_a_session_is_learnt_and_one_that_was_overridden_is_told(
    strict: Process, agents: Agents
) -> None:
    plan = "make"
    fail_then_solve(agents(strict, "end-1"), plan, "make -C build", "Exit code 2\nmake: *** No targets specified.")
    stopped, stubborn = agents(strict, "end-2"), agents(strict, "end-3")
    assert stopped.before(plan).permission == "deny"
    stopped.ends()
    assert stubborn.before(plan).permission == "deny"
    stubborn.worked(plan)
    stubborn.ends()
    blocked, overridden = decisions(strict, stopped, stubborn)
    assert told(blocked) == [{"terminal": True}]
    assert told(overridden) == [{"success": True, "overridden": True}, {"terminal": True}]
    assert (blocked["pending"], overridden["pending"]) == (None, None)


def test_a_tool_of_an_mcp_server_is_asked_about_and_learnt_like_a_command(strict: Process, agents: Agents) -> None:
    called = {"tool_name": "mcp__tracker__create", "tool_input": {"project": "shp", "token": "s3cret"}}
    first, second = agents(strict, "mcp-1"), agents(strict, "mcp-2")
    first.before("-", **called)
    first.failed("-", "unknown project: shp", **called)
    said = second.before("-", **called)
    assert (said.permission, "unknown project: shp" in said.text) == ("deny", True)
    [asked] = decisions(strict, second)
    assert asked["request"]["planned_action"] == "mcp__tracker__create project=shp token=***"
    assert asked["request"]["goal"] == "tracker create"


def test_a_rewrite_that_was_declined_is_cancelled_and_one_run_as_planned_was_not_followed(
    lenient: Process, agents: Agents
) -> None:
    plan, fix, error = "npm test", "npm ci && npm test", "Exit code 127\nsh: 1: jest: not found"
    fail_then_solve(agents(lenient, "declined-1"), plan, fix, error)
    fail_then_solve(agents(lenient, "declined-2"), plan, fix, error)
    declined, approved = agents(lenient, "declined-3"), agents(lenient, "declined-4")
    assert declined.before(plan).permission == "ask"
    declined.ends()
    assert approved.before(plan).permission == "ask"
    approved.failed(plan, error)
    approved.ends()
    cancelled, run = decisions(lenient, declined, approved)
    assert (told(cancelled), cancelled["reward"]) == ([{"executed": False}], None)
    assert told(run) == [{"success": False, "applied_suggestion": False}, {"terminal": True}]
    assert (cancelled["pending"], run["pending"]) == (None, None)


def test_advice_that_fails_counts_against_it(lenient: Process, agents: Agents) -> None:
    plan, fix = "python app.py", "PYTHONPATH=. python app.py"
    fail_then_solve(agents(lenient, "advice-1"), plan, fix, "Exit code 1\nModuleNotFoundError: No module named 'shop'")
    agent = agents(lenient, "advice-2")
    assert fix in agent.before(plan).text
    agent.failed(plan, "Exit code 1\nModuleNotFoundError: No module named 'shop'")
    agent.before(fix)
    agent.failed(fix, "Exit code 1\nOSError: [Errno 98] Address already in use")
    assert validations(lenient, agent) == [False]


def test_what_nobody_can_judge_is_cancelled_and_teaches_nothing(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "unjudged")
    agent.before("vite dev")
    agent.worked("vite dev", tool_response={"backgroundTaskId": "b1"})
    agent.before("ninja")
    agent.worked("ninja", tool_response={"interrupted": True})
    agent.before("sleep 60")
    agent.failed("sleep 60", "Exit code 137\n[Request interrupted by user for tool use]", is_interrupt=True)
    assert [told(decision) for decision in decisions(lenient, agent)] == [[{"executed": False}]] * 3
    assert episodes(lenient, agent) == []


def test_a_check_that_finds_something_is_no_failure(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "check")
    agent.before("pytest -q")
    agent.failed("pytest -q", "Exit code 1\nFAILED tests/test_login.py::test_login\n1 failed")
    assert [told(decision) for decision in decisions(lenient, agent)] == [[{"success": True}]]
    assert episodes(lenient, agent) == []


def test_a_command_that_works_again_unchanged_leaves_no_lesson(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "unchanged")
    agent.before("docker build .")
    agent.failed("docker build .", "Exit code 1\nERROR: failed to solve")
    agent.before("docker build .")
    agent.worked("docker build .")
    agent.before("docker build . --pull")
    agent.worked("docker build . --pull")
    assert [episode["resolution"] for episode in episodes(lenient, agent)] == [""]
    assert not [note for note in agent.notes() if "program" in note]


def test_a_subagent_has_a_task_and_failures_of_its_own(lenient: Process, agents: Agents) -> None:
    agent, other = agents(lenient, "crew"), {"agent_id": "a1", "agent_type": "Explore"}
    agent.before("helm install shop")
    agent.failed("helm install shop", "Exit code 1\nError: cluster unreachable")
    agent.before("helm install shop --wait", **other)
    agent.worked("helm install shop --wait", **other)
    assert [episode["resolution"] for episode in episodes(lenient, agent)] == [""]
    agent.ends()
    found = decisions(lenient, agent)
    assert [decision["request"]["task_id"] for decision in found] == ["crew", "crew/a1"]
    assert [told(decision)[-1] for decision in found] == [{"terminal": True}] * 2
    assert agent.notes() == []


def test_calls_side_by_side_are_each_answered_and_reported(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "parallel")
    commands = [f"terraform plan -target={letter}" for letter in "abcdef"]

    def at_once(name: str, **fields: Any) -> None:
        calls = [agent.event(name, c, tool_use_id=f"toolu_{c[-1]}", **fields) for c in commands]
        for process in [agent.start(call) for call in calls]:
            assert agent.finish(process).errors == ""

    at_once("PreToolUse")
    at_once("PostToolUse", tool_response={"stdout": "", "stderr": "", "interrupted": False})
    found = decisions(lenient, agent)
    assert sorted(decision["request"]["planned_action"] for decision in found) == commands
    assert [told(decision) for decision in found] == [[{"success": True}]] * len(commands)
    assert len(agent.notes()) == 1  # the newest decision


def test_a_hint_tells_a_session_nothing_it_saw_itself(lenient: Process, agents: Agents) -> None:
    """Another session is told."""
    agent, other = agents(lenient, "seen"), agents(lenient, "unseen")
    agent.before("ansible-playbook site.yml")
    agent.failed("ansible-playbook site.yml", "Exit code 4\nfatal: host unreachable")
    assert agent.before("ansible-playbook site.yml").output == {}
    assert "host unreachable" in other.before("ansible-playbook site.yml").text
    assert [decision["heads"][0]["action"] for decision in decisions(lenient, agent, other)] == [
        "PROCEED",
        "HINT",
        "HINT",
    ]
    agent.worked("ansible-playbook site.yml")  # reported like any call


def test_a_call_nobody_was_asked_about_is_still_learnt_from(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "unasked")
    agent.failed("rsync site host:", "Exit code 23\nrsync: some files could not be transferred")
    agent.before("rsync --chmod=D755 site host:")
    agent.worked("rsync --chmod=D755 site host:")
    failure, lesson = episodes(lenient, agent)
    assert (failure["trace_id"], lesson["trace_id"]) == (None, None)
    assert lesson["resolution"] == "rsync --chmod=D755 site host:"


def test_output_that_was_cut_inside_a_character_still_teaches(lenient: Process, agents: Agents) -> None:
    agent = agents(lenient, "cut")
    agent.before("flake \ud83d")
    assert agent.failed("flake \ud83d", "Exit code 3\nno such option \ud83d").errors == ""
    assert [episode["error_trace"] for episode in episodes(lenient, agent)] == ["no such option \ufffd"]


def test_state_is_private_and_holds_no_command_and_no_output(lenient: Process, agents: Agents) -> None:
    plan, fix = "deploy --password hunter2", "deploy --password hunter2 --region north"
    fail_then_solve(agents(lenient, "private-1"), plan, fix, "Exit code 3\nno region: secret")
    agent = agents(lenient, "private-2")
    assert "deploy --password *** --region north" in agent.before(plan).text
    agent.failed(plan, "Exit code 3\nno region: secret")
    agent.before("whoami")
    notes = agent.notes()
    assert len(notes) == 4  # a call under way, advice, a failure, the newest decision
    assert not [note for note in notes for word in ("--", "hunter2", "region", "secret", "Call") if word in note]
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in agent.state.rglob("pointsman/**/*")}
    assert modes == {True: 0o700, False: 0o600}
