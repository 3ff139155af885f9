"""Clients that send slow text, hang up, or lie about lengths harm nobody but themselves."""

import asyncio
import http.client
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

Server = Any
DECIDE, CAPTURE = "/v1/decisions", "/v1/capture"
CARRIED = {
    "episode": {"goal": "ship it elsewhere"},
    "provenance": {"origin": f"or_{0:032}", "key": f"{0:032}", "episode_id": 9, "captured_at": 1.0, "repeats": 0,
                   "successes": 0, "failures": 0, "skill": None},
}  # fmt: skip


async def test_text_made_to_be_slow_holds_nobody_up(server: Server) -> None:
    """A pattern that goes over such a text again from every place in it would outlast the client's patience."""
    traces = ("no such " * 8190, "\x1b[" * 20_000, "Error: " * 9000, "\n" * 65_000)
    plans = (" -f" * 2700, "push " * 1600, '"' * 8000, "/a" * 4000, "A=1 " * 2000)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        captured = [
            client.post(CAPTURE, json={"goal": f"{n}", "namespace": "slow", "error_trace": trace})
            for n in range(5)
            for trace in traces
        ]
        decided = [client.post(DECIDE, json={"planned_action": plan, "namespace": "slow"}) for plan in plans * 5]
        responses = await asyncio.gather(*captured, *decided)
    assert {response.status_code for response in responses} == {200, 201}


class Beside(ThreadPoolExecutor):
    """Does what is handed to it beside the loop, and counts that."""

    handed = 0

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        self.handed += 1
        return super().submit(*args, **kwargs)


def test_what_goes_through_long_texts_is_done_beside_the_calls_of_others(server: Server) -> None:
    beside = Beside()

    async def set_up() -> None:
        asyncio.get_running_loop().set_default_executor(beside)

    server.run(set_up())
    told = {"namespace": "beside", "min_similarity": -1}
    calls: dict[str, tuple[str, Any, int]] = {
        "capture": (CAPTURE, {"goal": "ship it", "namespace": "beside", "error_trace": "no " * 9000}, 201),
        "import": ("/v1/memory", {"episodes": [CARRIED]}, 200),
        "trace": ("/v1/search", {"modality": "error", "query": "no", **told}, 200),
        "context": ("/v1/context", {"goal": "ship it", **told}, 200),
        "passages": ("/v1/documents/search", {"query": "ship it", "format": "context", **told}, 200),
    }
    handed = {}
    for name, (path, body, status) in calls.items():
        before = beside.handed
        server.post(path, body, status)
        handed[name] = beside.handed - before
    assert handed == dict.fromkeys(calls, 1)


async def test_clients_that_hang_up_leave_nothing_behind(server: Server) -> None:
    rng = random.Random(7)
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        for _ in range(15):
            tasks = [asyncio.create_task(client.post(DECIDE, json={"planned_action": "ls"})) for _ in range(20)]
            await asyncio.sleep(rng.random() * 0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    decided = server.gate(namespace="afterwards")
    assert server.feedback(decided["trace_id"], success=True)["updated"] is True
    server.until(lambda: server.get("/status")["journal"]["learner_lag"] == 0)


def test_a_body_that_lies_about_its_length_is_refused(server: Server) -> None:
    before = server.last_seq
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=30)
    connection.putrequest("POST", CAPTURE)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(17):
        connection.send(piece)
    response = connection.getresponse()
    assert response.status == 413
    connection.close()
    assert server.last_seq == before
