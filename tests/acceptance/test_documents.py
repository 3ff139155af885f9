"""A server that is killed between the commit of a document and the overwriting of the former one."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Start
from .crowd import verified
from .places import cases

Until = Callable[[Callable[[], Any]], Any]
CANARY = b"canary-9912"


def document(text: str) -> dict[str, Any]:
    return {"documents": [{"key": "a.md", "text": text}]}


@cases(["documents.appended"])
def test_a_former_text_is_overwritten_by_the_next_start(
    start: Start, until: Until, tmp_path: Path, name: str, repeat: int
) -> None:
    doomed = start(POINTSMAN_FAILPOINTS=f"{name}:kill@2")
    until(lambda: doomed.client.get("/readyz").status_code == 200)
    doomed.post("/v1/documents", document(CANARY.decode()))
    with pytest.raises(httpx.TransportError):
        doomed.post("/v1/documents", document("new"))
    assert doomed.wait() == -signal.SIGKILL
    assert CANARY in on_disk(tmp_path)
    again = start()
    until(lambda: again.client.get("/readyz").status_code == 200)
    found = again.post("/v1/documents/search", {"query": "new", "min_similarity": -1})
    assert [result["text"] for result in found["results"]] == ["new"]
    assert again.end() == 0
    assert CANARY not in on_disk(tmp_path)
    verified(tmp_path / "data")


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / "data").glob("journal.db*"))
