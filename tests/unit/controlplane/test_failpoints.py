"""Failpoints are off unless they are named, refused with the list when misspelt, and act once, at the named pass."""

import errno
import sqlite3
from collections.abc import Iterator

import pytest

from controlplane import failpoints, settings
from controlplane.errors import BadSetting
from controlplane.failpoints import FAILPOINTS, failpoint


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_nothing_happens_at_a_failpoint_that_is_off() -> None:
    for name in FAILPOINTS:
        failpoint(name)
    assert failpoints.on() == []


def test_an_error_is_raised_once_at_the_pass_it_is_set_to() -> None:
    assert failpoints.arm("file.synced:error@2, journal.insert:error@1") == [
        "file.synced:error@2",
        "journal.insert:error@1",
    ]
    failpoint("file.synced")
    with pytest.raises(OSError) as raised:
        failpoint("file.synced")
    assert raised.value.errno == errno.EIO
    failpoint("file.synced")
    with pytest.raises(sqlite3.OperationalError):
        failpoint("journal.insert")
    failpoint("file.written")


def test_arming_again_forgets_what_was_armed() -> None:
    failpoints.arm("file.synced:error@1")
    assert failpoints.arm("") == []
    failpoint("file.synced")


@pytest.mark.parametrize(
    "spec", ["file.synced", "file.synced:kill", "file.synced:die@1", "file.synced:kill@0", "nowhere:kill@1", "x;y"]
)
def test_a_bad_value_is_refused_with_the_names_there_are(spec: str) -> None:
    with pytest.raises(BadSetting) as refused:
        settings.load({"POINTSMAN_FAILPOINTS": spec})
    assert "POINTSMAN_FAILPOINTS" in str(refused.value)
    assert all(name in str(refused.value) for name in FAILPOINTS)


def test_a_place_that_meets_no_error_says_where_errors_can_be_had() -> None:
    with pytest.raises(BadSetting, match=r"only kills; errors can be had at: journal\.migrate"):
        settings.load({"POINTSMAN_FAILPOINTS": "feedback.appended:error@1"})


def test_failpoints_do_not_shape_decisions() -> None:
    assert settings.load({"POINTSMAN_FAILPOINTS": "file.synced:kill@1"}).hash == settings.load({}).hash
