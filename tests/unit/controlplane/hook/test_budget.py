"""The time of an event is counted from the start of its process."""

import subprocess
import sys
import time

import pytest

from controlplane.hook import budget

AGE = "from controlplane.hook.budget import age_s; print(age_s())"
TICK_S = 0.02


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="where the system does not tell, work is counted")
def test_the_age_counts_what_happened_before_the_first_line_of_ours() -> None:
    begun = time.monotonic()
    told = subprocess.run(
        ["sh", "-c", 'sleep 0.3; exec "$0" -c "$1"', sys.executable, AGE], capture_output=True, text=True, check=True
    ).stdout
    assert 0.3 <= float(told) <= time.monotonic() - begun + TICK_S


def test_what_takes_too_long_is_interrupted() -> None:
    begun = time.monotonic()
    try:
        budget.allow(budget.age_s() + 0.05)
        with pytest.raises(budget.Late):
            time.sleep(10)
    finally:
        budget.off()
    assert time.monotonic() - begun < 5


def test_a_process_that_is_older_is_late_at_once() -> None:
    with pytest.raises(budget.Late, match="starting on this busy machine"):
        budget.allow(0.0)
