"""What came of a call is read off what the agent really says of it; what it does not say is not guessed."""

from collections.abc import Callable

import pytest

from controlplane.hook.event import Event
from controlplane.hook.outcome import MAX_ERROR, Outcome

Recorded = Callable[..., Event]


@pytest.mark.parametrize(
    ("name", "success"),
    [
        ("after_bash", True),
        ("after_bash_older", True),
        ("after_bash_no_match", True),
        ("after_mcp", True),
        ("after_mcp_error", False),
        ("failure_bash", False),
        ("failure_mcp", False),
        ("failure_check", True),  # the tests ran; that they found something is what they are for
        ("after_bash_interrupted", None),
        ("after_bash_background", None),
        ("failure_interrupt", None),
        ("after_text", None),
    ],
)
def test_recorded_events_say_this_of_success(recorded: Recorded, name: str, success: bool | None) -> None:
    assert Outcome(recorded(name)).success is success


@pytest.mark.parametrize(
    ("response", "success"),
    [
        ({"exit_code": 0}, True),
        ({"exit_code": "0"}, True),
        ({"exit_code": 2}, False),
        ({"returncode": 1}, False),
        ({"success": False}, False),
        ({"success": True}, True),
        ({"is_error": True, "stderr": "no"}, False),
    ],
)
def test_an_agent_that_tells_both_in_one_event_is_understood(
    recorded: Recorded, response: dict[str, object], success: bool
) -> None:
    assert Outcome(recorded("after_bash", tool_response=response)).success is success


def test_a_check_that_could_not_run_is_a_failure(recorded: Recorded) -> None:
    assert Outcome(recorded("failure_check", error="Exit code 4\nERROR: file or directory not found")).success is False


def test_the_error_is_what_the_tool_said_without_the_agents_own_line(recorded: Recorded) -> None:
    assert Outcome(recorded("failure_bash")).error.startswith("fatal: The current branch topic has no upstream")
    windows = recorded("failure_bash", error="Exit code 1\r\nnode:internal\r\n  throw err;")
    assert Outcome(windows).error == "node:internal\r\n  throw err;"
    assert Outcome(recorded("failure_bash", error="Exit code 1")).error == "Exit code 1"
    assert (
        Outcome(recorded("after_bash", tool_response={"is_error": True, "stderr": "no", "stdout": "x"})).error == "no"
    )


def test_a_long_error_keeps_its_beginning_and_its_end(recorded: Recorded) -> None:
    error = Outcome(recorded("failure_bash", error="first\n" + "x" * 100_000 + "\nlast")).error
    assert len(error) < MAX_ERROR + 10
    assert (error[:5], error[-4:]) == ("first", "last")


def test_the_time_is_told_only_if_the_agent_measured_it(recorded: Recorded) -> None:
    assert Outcome(recorded("after_bash")).latency_ms == 412
    assert Outcome(recorded("after_bash_older")).latency_ms is None
    assert Outcome(recorded("after_bash", duration_ms=-1)).latency_ms is None
    assert Outcome(recorded("after_bash", duration_ms="fast")).latency_ms is None
