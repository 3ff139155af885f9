"""Far more comes in than can be answered: what is refused changes nothing and is told at once, probes come through."""

import asyncio
import json
import sqlite3
from collections import Counter
from typing import Any

Start = Any
CONNECTIONS, EACH = 400, 6
PLACE = {f"variable-{i}": f"value {i}" for i in range(300)}  # so that each call is some work
BODY = json.dumps({"planned_action": "make all", "goal": "build", "environment": PLACE}).encode()
LOCAL = b" HTTP/1.1\r\nHost: localhost\r\n"
DECIDE = b"POST /v1/decisions" + LOCAL + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
PROBE = b"GET /readyz" + LOCAL + b"\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Answer = tuple[int, bytes, bytes]


async def ask(streams: Streams, request: bytes) -> Answer:
    streams[1].write(request)
    return await answered(streams[0])


async def answered(reader: asyncio.StreamReader) -> Answer:
    """(status, head, body) on a connection that is kept."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return int(head[9:12]), head, await reader.readexactly(length)


async def everybody(port: int) -> tuple[list[Answer], list[int]]:
    """What all of them are told, and the statuses of the probes asked meanwhile."""
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(CONNECTIONS)]
    prober = await asyncio.open_connection("127.0.0.1", port)
    probed: list[int] = []

    async def all_at_once() -> list[Answer]:
        for _, writer in streams:
            writer.write(DECIDE % (len(BODY), BODY))
        return list(await asyncio.gather(*(answered(reader) for reader, _ in streams)))

    async def probe() -> None:
        while True:
            probed.append((await ask(prober, PROBE))[0])
            await asyncio.sleep(0.02)

    probing = asyncio.create_task(probe())
    told = [answer for _ in range(EACH) for answer in await all_at_once()]
    probing.cancel()
    for _, writer in (*streams, prober):
        writer.close()
    return told, probed


def test_what_is_refused_is_refused_with_a_reason_and_changes_nothing(start: Start) -> None:
    server = start(POINTSMAN_GATE_WINDOW_S="3600")
    told, probed = asyncio.run(everybody(int(server.url.rpartition(":")[2])))
    statuses = Counter(status for status, _, _ in told)
    print(statuses, Counter(probed))
    assert set(statuses) == {200, 503}
    for status, head, body in told:
        if status == 503:
            problem = json.loads(body)
            assert (problem["code"], problem["retryable"]) == ("overloaded", True)
            assert problem["request_id"].startswith("rq_")
            assert b"Content-Type: application/problem+json\r\nRetry-After: 1\r\n" in head
    assert set(probed) == {200}
    assert server.get("/status")["intake"]["refused"] == statuses[503]
    assert server.end() == 0
    with sqlite3.connect(server.folder / "journal.db") as database:
        [(decisions,)] = database.execute("SELECT count(*) FROM events WHERE kind = 'decision'")
    database.close()
    assert decisions == statuses[200]
