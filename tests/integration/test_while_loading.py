"""While memory is still being loaded, what is about all of it is refused: nothing is told as if there were nothing."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from auditor.events import Recorded
from controlplane.administration import FirstKeys
from controlplane.app import create_app
from controlplane.clock import SystemClock
from controlplane.contract import OriginRequest
from controlplane.http.routes import ROUTES
from controlplane.journal import MemoryJournal
from controlplane.service import Service
from controlplane.tenants import LOCAL

from .conftest import chosen
from .every_route import Client

BODIES = {  # of what may not be asked without one
    "POST /v1/admin/purge": {"key_id": "any"},
    "POST /v1/admin/quarantine": {"key_id": "any", "why": "it lies"},
    "POST /v1/search": {"goal": "ship"},
    "POST /v1/validate_fix": {"episode_id": 1, "outcome": "success"},
    "POST /v1/memory": {"episodes": []},
    "POST /v1/documents": {"documents": [{"text": "Ship it"}]},
    "POST /v1/documents/search": {"query": "ship"},
    "POST /v1/origins": {"origin": "wiki"},
    "POST /v1/context": {"goal": "ship"},
    "POST /v1/patches/search": {"query": "ship"},
}
BARE = {
    "GET /v1/admin/quarantine",
    "DELETE /v1/admin/quarantine/{quarantine_id:int}",
    "GET /v1/episodes/{episode_id:int}",
    "DELETE /v1/episodes/{episode_id:int}",
    "POST /v1/episodes/{episode_id:int}/return",
    "DELETE /v1/reflections/{reflection_id:str}",
    "GET /v1/skills",
    "GET /v1/skills/{skill_id:int}",
    "POST /v1/skills/{skill_id:int}/retire",
    "GET /v1/memory/aside",
    "GET /v1/memory",
    "GET /v1/documents",
    "DELETE /v1/documents",
    "GET /v1/origins",
}


class Slow(MemoryJournal):
    """A journal whose past is read only once it may be."""

    def __init__(self) -> None:
        super().__init__()
        self.may_be_read = asyncio.Event()
        self.may_be_read.set()

    async def read_memory(self, after: int, limit: int) -> list[Recorded]:
        await self.may_be_read.wait()
        return await super().read_memory(after, limit)


@asynccontextmanager
async def running(journal: Slow, folder: Path, keys: FirstKeys | None = None) -> AsyncIterator[Client]:
    """A client with the keys of the first start."""
    settings = chosen(folder, insecure_local=False)
    service = await Service.over(journal, settings, SystemClock())
    service.first_keys = keys or service.first_keys
    app = create_app(settings)
    app.take(service)
    try:
        yield Client(app)
    finally:
        await service.close()


def test_what_is_about_all_of_memory_is_asked_for_here() -> None:
    """A route that remembers is entered above."""
    remembers = {f"{route.method.__name__.upper()} {route.path}" for route in ROUTES if route.remembers}
    assert remembers == BODIES.keys() | BARE


async def test_what_is_about_memory_is_refused_until_all_of_it_is_there(tmp_path: Path) -> None:
    journal = Slow()
    async with running(journal, tmp_path / "data") as client:
        await client.service.loaded()
        episode = await client.episode()
        await client.call("POST", "/v1/origins", {"origin": "wiki", "license": "MIT"})
        keys = client.service.first_keys
        purged = client.tenant_key
    journal.may_be_read.clear()
    async with running(journal, tmp_path / "data", keys) as client:
        before = journal.last_seq
        for asked in (*BODIES, *BARE):
            method, path = re.sub(r"{\w+:(?:int|str)}", "1", asked).split()
            answer = await client.request(method, (path, BODIES.get(asked))).answer()
            assert (answer.status, json.loads(answer.body)["code"]) == (503, "embedder_loading"), asked
        assert (await client.request("GET", ("/v1/memory", None), **{"X-API-Key": "none"}).answer()).status == 401
        assert journal.last_seq == before, "nothing was begun"
        assert (await client.request("GET", ("/v1/sessions", None)).answer()).status == 200
        journal.may_be_read.set()
        await client.service.loaded()
        assert [origin["license"] for origin in await client.call("GET", "/v1/origins")] == ["MIT"]
        assert (await client.call("GET", f"/v1/episodes/{episode}"))["episode_id"] == episode
        assert (await client.call("POST", "/v1/admin/purge", {"key_id": purged}))["episodes"] == 1


async def test_who_registers_an_origin_is_told_of_it_though_memory_lags(tmp_path: Path) -> None:
    """The answer is of what was journalled, not of what a fold that is behind has."""
    journal = Slow()
    journal.may_be_read.clear()
    settings = chosen(tmp_path / "data")
    service = await Service.over(journal, settings, SystemClock())
    try:
        made = await service.library.register(LOCAL, OriginRequest(origin="wiki", license="MIT"))
    finally:
        await service.close()
    assert (made.origin, made.license, made.registered, made.documents) == ("wiki", "MIT", True, 0)
