"""Every test of the auditor tells a story to the real fold."""

from collections.abc import Callable
from typing import Any

import pytest

from .story import Story, rules_of


@pytest.fixture
def story() -> Story:
    return Story(rules_of())


@pytest.fixture
def tell() -> Callable[..., Story]:
    """A story under other rules: `tell(join="mean")`."""

    def begin(**changes: Any) -> Story:
        return Story(rules_of(**changes))

    return begin
