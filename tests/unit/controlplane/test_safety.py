"""Each bound on what is told filters by its own name, and none filters what is within it."""

import pytest

from controlplane.contract import Safety
from controlplane.memory.safety import DAY_S, Looks, unsafe

NOW = 100 * DAY_S
GOOD = Looks(at=NOW, alignment_severity=0.5, semantic_alerts=1, license="MIT", fingerprint="ab", trust=0.5)


@pytest.mark.parametrize(
    ("bounds", "worse", "reason"),
    [
        (Safety(max_alignment_severity=0.5), GOOD._replace(alignment_severity=0.8), "alignment_severity"),
        (Safety(max_alerts=1), GOOD._replace(semantic_alerts=2), "semantic_alerts"),
        (Safety(license_denylist=("GPL-3.0",)), GOOD._replace(license="gpl-3.0 "), "license"),
        (Safety(license_denylist=("CD",)), GOOD._replace(fingerprint="cd"), "license"),
        (Safety(max_age_days=30), GOOD._replace(at=NOW - 31 * DAY_S), "age"),
        (Safety(min_trust=0.5), GOOD._replace(trust=0.4), "trust"),
    ],
)
def test_what_is_beyond_a_bound_is_filtered_by_its_name(bounds: Safety, worse: Looks, reason: str) -> None:
    assert unsafe(worse, bounds, NOW) == reason
    assert unsafe(GOOD, bounds, NOW) is None


def test_without_bounds_everything_is_told() -> None:
    worst = Looks(at=0.0, alignment_severity=1.0, semantic_alerts=99, license="GPL-3.0", trust=0.0)
    assert unsafe(worst, Safety(), NOW) is None
