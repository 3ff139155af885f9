"""An event is read into what the gate is asked: task, plan, goal."""

import json
from collections.abc import Callable

import pytest

from controlplane.hook.event import MAX_PLANNED, Event, text

from .conftest import RECORDED

Recorded = Callable[..., Event]


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_every_recorded_event_is_read_and_names_its_source(path: str, recorded: Recorded) -> None:
    whole = json.loads(RECORDED.joinpath(path).read_text("utf-8"))
    event = Event(whole["event"])
    assert len(whole["source"]) > 20
    assert event.session
    assert event.name in ("PreToolUse", "PostToolUse", "PostToolUseFailure", "UserPromptSubmit", "SessionEnd")


def test_a_shell_command_is_the_plan_and_its_description_the_goal(recorded: Recorded) -> None:
    event = recorded("before_bash")
    assert (event.planned, event.goal) == ("git push", "Push the branch to its remote")
    assert event.task_id == event.session == "6f0c2d3e-6a51-4c58-9a3e-0d6a3f0b8f11"


def test_a_command_nobody_described_is_its_own_goal(recorded: Recorded) -> None:
    assert recorded("before_plain").goal == "npm test"


def test_another_tool_is_told_by_name_and_arguments_in_one_order_without_secrets(recorded: Recorded) -> None:
    event = recorded("before_mcp")
    told = 'mcp__github__create_issue api_token=*** labels=["bug"] owner=acme repo=shop title="Login fails"'
    assert event.planned == told
    assert event.goal == "github create issue"
    turned = recorded("before_mcp", tool_input=dict(reversed(event.input.items())))
    assert turned.planned == told


def test_secrets_stay_out_of_the_plan_however_deep_they_stand(recorded: Recorded) -> None:
    given = {
        "url": "https://ann:pw@acme.org/?key=1",
        "request": {"headers": {"Cookie": "id=7"}, "note": "Bearer abcdefg"},
    }
    assert recorded("before_mcp", tool_input=given).planned == (
        'mcp__github__create_issue request={"headers": {"Cookie": "***"}, "note": "Bearer ***"}'
        ' url="https://***@acme.org/?key=***"'
    )


def test_half_a_character_is_replaced_where_it_is_read(recorded: Recorded) -> None:
    """Output is cut somewhere, and a lesson must not be lost for it."""
    half, whole = "cut here \ud83d", "smile \U0001f600"
    assert recorded("before_bash", tool_input={"command": half}).planned == "cut here \ufffd"
    assert text({"error": half}, "error") == "cut here \ufffd"
    assert text({"error": whole}, "error") == whole
    for given in ({"body": half}, {half: "x"}, {"body": [half]}):
        recorded("before_mcp", tool_input=given).planned.encode()


def test_long_arguments_are_cut_and_the_plan_is_bounded(recorded: Recorded) -> None:
    assert len(recorded("before_mcp", tool_input={"body": "x" * 9000}).planned) < 200
    assert len(recorded("before_bash", tool_input={"command": "x" * 9000}).planned) == MAX_PLANNED
    assert recorded("before_bash", tool_input={"command": " a\x00b "}).planned == "ab"


def test_a_subagent_works_on_a_task_of_its_own(recorded: Recorded) -> None:
    event = recorded("before_subagent")
    assert event.task_id == f"{event.session}/a1b2c3"


def test_a_call_without_a_name_is_known_again_by_its_input(recorded: Recorded) -> None:
    before, after = recorded("before_plain"), recorded("before_plain", hook_event_name="PostToolUse")
    assert before.call_id == after.call_id != recorded("before_plain", tool_input={"command": "npm ci"}).call_id
    assert recorded("before_bash").call_id == "toolu_01ABC123"


@pytest.mark.parametrize(
    "told", [b"", b"nonsense", b"[]", b"{}", b'{"session_id": "s"}', b'{"session_id": 1}', b"\xff"]
)
def test_what_is_no_event_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError):
        Event.read(told)


def test_fields_of_another_type_count_as_missing(recorded: Recorded) -> None:
    event = recorded("before_bash", tool_input=["git push"], cwd=7, agent_id=None)
    assert (event.input, event.cwd, event.task_id) == ({}, "", event.session)
