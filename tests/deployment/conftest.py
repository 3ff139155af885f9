"""The files to deploy, as whoever applies them has them."""

from pathlib import Path

import pytest

from controlplane import settings


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def page(root: Path) -> str:
    """What says how all of it is brought up."""
    return (root / "docs" / "deployment.md").read_text("utf-8")


@pytest.fixture(scope="session")
def variables() -> set[str]:
    """Every variable that sets a setting, secrets in files included."""
    files = {f"{settings.PREFIX}{name}{settings.FILE}".upper() for name in settings.SECRET}
    return {setting.env for setting in settings.table()} | files
