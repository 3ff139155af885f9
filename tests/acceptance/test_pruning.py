"""The server dies between a pruning and the deletion of its files: they go when it is asked again, or with the next."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from .crowd import verified

Start = Callable[..., Any]
KEEP, KEY = {"keep": 1}, {"Idempotency-Key": "one-pruning"}
PLACE = {"candidates": [{"provider": "a", "sku": "1"}]}


@pytest.mark.parametrize("again", [KEY, {}], ids=["asked again", "the next"])
def test_a_pruning_whose_server_died_is_finished_when_asked_again_or_by_the_next(
    start: Start, tmp_path: Path, again: dict[str, str]
) -> None:
    doomed = start(POINTSMAN_FAILPOINTS="prune.appended:kill@1")
    made = []
    for _ in range(2):
        doomed.post("/v1/decisions", PLACE)
        made.append(doomed.post("/v1/checkpoints", {}, 201)["checkpoint_id"])
    with pytest.raises(httpx.TransportError):
        doomed.client.post("/v1/checkpoints/prune", json=KEEP, headers=KEY)
    assert doomed.wait() == -signal.SIGKILL
    left = {path.stem: path.stat().st_size for path in (tmp_path / "data" / "checkpoints").iterdir()}
    assert left.keys() == set(made)

    server = start()
    assert [kept["checkpoint_id"] for kept in server.client.get("/v1/checkpoints").json()] == made[1:]
    told = [server.client.post("/v1/checkpoints/prune", json=KEEP, headers=again).json() for _ in range(2)]
    freed = {"pruned": made[:1], "freed_bytes": left[made[0]]} if again else {"pruned": [], "freed_bytes": 0}
    assert told == [freed, freed]
    assert [path.stem for path in (tmp_path / "data" / "checkpoints").iterdir()] == made[1:]
    assert server.end() == 0
    verified(tmp_path / "data")
