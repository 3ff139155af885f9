"""Events as agents sent them; each file names where its shape is documented."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.hook.event import Event

RECORDED = Path(__file__).parents[3] / "fixtures" / "hook"


@pytest.fixture
def recorded() -> Callable[..., Event]:
    """A recorded event by name, with some of its fields changed."""

    def read(name: str, **changed: Any) -> Event:
        said = json.loads((RECORDED / f"{name}.json").read_text("utf-8"))["event"]
        return Event.read(json.dumps({**said, **changed}).encode())

    return read
