"""What a decision names in its trace is what it was made from, whatever was learnt while it was made."""

import asyncio
import random
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from ..acceptance.crowd import Crowd
from ..deciding import decisions_taken_again
from .test_degraded_upstreams import SCORE, reply

Serve = Callable[..., Any]
Start = Callable[..., Any]
OFTEN_RESTORED = (60, 5, 5, 0, 6, 6)


def test_decisions_of_a_crowd_are_taken_again_as_they_were(
    serve: Serve, upstream: Start, seed: int, tmp_path: Path
) -> None:
    """The router answers late, and the learnt state goes back and forth meanwhile."""
    rng = random.Random(seed)

    def late(handler: BaseHTTPRequestHandler, n: int) -> None:
        time.sleep(rng.random() * 0.02)
        reply(handler, SCORE)

    server, crowd = serve(router_url=upstream(late).url, epsilon=0.3), Crowd(seed)
    crowd.visit(server.url, 400, weights=OFTEN_RESTORED)
    server.stop()
    again = asyncio.run(decisions_taken_again(tmp_path / "data" / "journal.db"))
    assert again >= sum(n for (kind, _), n in crowd.acknowledged.items() if kind == "decision") > 0
