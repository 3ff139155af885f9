"""The page on reliability names tests that exist, and every test that only runs nightly."""

import re
from pathlib import Path

import pytest


@pytest.fixture
def sources(root: Path) -> dict[str, str]:
    """Every test file by its path."""
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in (root / "tests").rglob("*.py")}


def test_tests_named_on_the_page_exist(pages: dict[str, str], sources: dict[str, str]) -> None:
    page = pages["docs/reliability.md"]
    named = set(re.findall(r"`(test_\w+)", page))
    defined = {name for text in sources.values() for name in re.findall(r"def (test_\w+)", text)}
    assert len(named) > 20
    assert named - defined == set()
    assert set(re.findall(r"tests/\w+/\w+\.py", page)) - set(sources) == set()


def test_nightly_tests_are_named_on_the_page(pages: dict[str, str], sources: dict[str, str]) -> None:
    nightly = [path for path, text in sources.items() if "mark.nightly" in text and "def test_" in text]
    assert [path for path in nightly if path not in pages["docs/reliability.md"]] == []
