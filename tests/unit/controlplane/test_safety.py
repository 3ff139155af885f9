"""Each bound on what is told filters by its own name, and none filters what is within it."""

import pytest

from controlplane.contract import Safety
from controlplane.errors import Unprocessable
from controlplane.licences import Denylist
from controlplane.memory.safety import DAY_S, Filters, Looks

NOW = 100 * DAY_S
NOTHING = Denylist("")
GOOD = Looks(at=NOW, alignment_severity=0.5, semantic_alerts=1, license="MIT", text="print(1)", trust=0.5)


@pytest.mark.parametrize(
    ("bounds", "worse", "reason"),
    [
        (Safety(max_alignment_severity=0.5), GOOD._replace(alignment_severity=0.8), "alignment_severity"),
        (Safety(max_alerts=1), GOOD._replace(semantic_alerts=2), "semantic_alerts"),
        (Safety(license_denylist=("GPL-3.0",)), GOOD._replace(license="gpl-3.0-or-later "), "license"),
        (Safety(license_denylist=("GPL-3.0",)), GOOD._replace(text="# SPDX-License-Identifier: GPL-3.0"), "license"),
        (Safety(max_age_days=30), GOOD._replace(at=NOW - 31 * DAY_S), "age"),
        (Safety(min_trust=0.5), GOOD._replace(trust=0.4), "trust"),
    ],
)
def test_what_is_beyond_a_bound_is_filtered_by_its_name(bounds: Safety, worse: Looks, reason: str) -> None:
    filters = Filters(bounds, NOTHING, NOW)
    assert filters.reason(worse) == reason
    assert filters.reason(GOOD) is None


def test_without_bounds_everything_is_told_but_what_the_server_denies_whoever_asks() -> None:
    worst = Looks(at=0.0, alignment_severity=1.0, semantic_alerts=99, license="GPL-3.0", trust=0.0)
    assert Filters(Safety(), NOTHING, NOW).reason(worst) is None
    assert Filters(Safety(), Denylist("GPL-3.0"), NOW).reason(worst) == "license"


def test_a_fingerprint_that_is_none_is_refused() -> None:
    with pytest.raises(Unprocessable, match="64 hexadecimal digits"):
        Filters(Safety(license_denylist=("sha256:12",)), NOTHING, NOW)
