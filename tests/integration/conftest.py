"""A real server of ours on a loopback port, in a thread of the test process, and servers for it to depend on."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import pytest
import uvicorn

from controlplane import settings
from controlplane.app import create_app
from controlplane.connections import Connections
from controlplane.llm.fake import FakeProvider
from controlplane.llm.fake_script import Playing, Script
from controlplane.service import Service
from controlplane.serving import bind
from controlplane.settings import Settings

from .asked_model import Provider, started

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: a test looks nothing up
PATIENCE_S = 30.0
Json = dict[str, Any]


class Running:
    """A server from start to stop. Its client raises nothing: a test looks at status codes itself."""

    def __init__(self, chosen: Settings, connections: Connections | None = None) -> None:
        self.settings = chosen
        self._app = create_app(chosen)
        self._listener = bind(chosen.host, 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        http: Any = (connections or Connections()).protocol
        config = uvicorn.Config(self._app, http=http, log_config=None, access_log=False, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._listener])

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        self.until(lambda: self.service.memory.live)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop in order, once. The client's connections are closed first: a server that stops waits for them."""
        self.client.close()
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    @property
    def service(self) -> Service:
        found: Service = self._app.service
        return found

    def run(self, act: Coroutine[Any, Any, Any]) -> Any:
        """Let the server's own loop do something."""
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(PATIENCE_S)

    def until(self, holds: Callable[[], Any]) -> Any:
        """Poll until something holds; what it gave."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := holds()):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)
        return found

    def get(self, path: str, status: int = 200) -> Any:
        response = self.client.get(path)
        assert response.status_code == status, response.text
        return response.json()

    def post(self, path: str, body: Json | None = None, status: int = 200) -> Any:
        response = self.client.post(path) if body is None else self.client.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    def gate(self, **fields: Any) -> Json:
        return self.post("/v1/decisions", {"planned_action": "make deploy", **fields})

    def route(self, *places: str, **fields: Any) -> Json:
        """Route among places written as provider/sku."""
        candidates = [dict(zip(("provider", "sku"), place.split("/"), strict=True)) for place in places]
        return self.post("/v1/decisions", {"candidates": candidates, **fields})

    def feedback(self, trace_id: str, **outcome: Any) -> Json:
        return self.post("/v1/feedback", {"trace_id": trace_id, "outcome": outcome})

    def capture(self, **fields: Any) -> Json:
        return self.post("/v1/capture", {"goal": "ship it", "planned_action": "make deploy", **fields}, 201)

    @property
    def last_seq(self) -> int:
        return int(self.get("/status")["journal"]["last_seq"])

    def metric(self, name: str, **labels: str) -> float:
        """A sample of /metrics; 0 while it was never counted."""
        wanted = "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}" if labels else ""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(f"{name}{wanted} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers on this test's data folder (or another), each stopped at the end of the test."""
    with ExitStack() as running:

        def start(**overrides: Any) -> Running:
            return running.enter_context(Running(chosen(tmp_path / "data", **overrides)))

        yield start


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for a whole file; its tests keep apart by namespace and task."""
    with Running(chosen(tmp_path_factory.mktemp("data"))) as running:
        yield running


def chosen(folder: Path, **overrides: Any) -> Settings:
    """Settings of a test: no keys, no model, greedy, nothing withheld, seeded, not of this machine's environment."""
    plain = {"insecure_local": True, "embedder": "hashing", "epsilon": 0.0, "withheld_share": 0.0, "seed": 7}
    given = {"data_dir": str(folder), **plain, **overrides}
    return settings.load({}, overrides=given)


class Models:
    """A fake provider on a loopback port, in a thread of its own, and settings that lead to it."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.fake = FakeProvider(Script())
        url = self._run(self.fake.start())
        self.settings = {"openai_base_url": f"{url}/v1", "catalogue": str(catalogue_of(folder, *names))}

    def script(self, **script: Any) -> None:
        """Play another script from now on, and bill anew."""
        self.fake.playing = Playing(msgspec.convert(script, Script))
        self.fake.calls.clear()

    def always(self, **behaviour: Any) -> None:
        self.script(otherwise=behaviour)

    @property
    def asked(self) -> list[Any]:
        """The bodies that came in."""
        return [call.body for call in self.fake.calls]

    def close(self) -> None:
        self._run(self.fake.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, act: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(PATIENCE_S)


def catalogue_of(folder: Path, *names: str, **more: dict[str, Any]) -> Path:
    """A file of models at openai, the last one premium; `more` fields of each by its name."""
    folder.mkdir(exist_ok=True)
    file = folder / "models.toml"
    tables = [{**CHAT_MODEL, "name": name, "model": f"{name}-1", **more.get(name, {})} for name in names]
    tables[-1]["tier"] = "premium"
    lines = ["[[models]]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items()) for table in tables]
    file.write_text("\n".join(lines), "utf-8")
    return file


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


CHAT_MODEL: Json = {
    "provider": "openai", "tier": "cheap", "context_tokens": 1_000_000, "output_tokens": 100_000,
    "price": {"input": 0.1, "output": 1.0},
}  # fmt: skip


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    """Two models, `small` and `large`."""
    made = Models(tmp_path, "small", "large")
    yield made
    made.close()


@pytest.fixture(scope="module")
def process() -> Iterator[str]:
    """Where a fake provider listens, in a process of its own."""
    with started() as url:
        yield url


@pytest.fixture
def provider(process: str) -> Iterator[Provider]:
    """That provider, which begins anew for each test."""
    with httpx.Client(base_url=process, timeout=PATIENCE_S) as client:
        made = Provider(client)
        made.script()
        yield made


class Upstream:
    """A small HTTP server that a test scripts: `answer` gets the request, and its number from 1 on."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler, int], None]) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.answered = 0
        self.release = threading.Event()  # set when the test ends: what hangs lets go
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream.asked.append((f"{self.command} {self.path}", body))
                answer(self, len(upstream.asked))
                upstream.answered += 1

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """The other side went away, as a deadline makes it do."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    """Starts scripted servers."""
    with ExitStack() as running:

        def start(answer: Callable[[BaseHTTPRequestHandler, int], None]) -> Upstream:
            made = Upstream(answer)
            running.callback(made.close)
            return made

        yield start
