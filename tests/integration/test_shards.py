"""Two shards, each a deployment on a PostgreSQL of its own; a proxy knows them apart by a key's first character."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from benchmarks.services import Postgres, running
from controlplane.settings import Settings
from controlplane.tenants import parse

from .conftest import PATIENCE_S, Running
from .test_replicas import PEPPER, chosen

IN_BOTH = "default"  # a tenant that both shards have: their names need not differ


class Shard(NamedTuple):
    """One deployment of one replica."""

    server: Running
    postgres: Postgres
    database: str

    def tenants(self) -> set[str]:
        """Whose decisions lie in its database."""
        return set(self.postgres.ask("SELECT tenant FROM events WHERE kind = 'decision'", self.database).split())

    def decisions(self, task_id: str) -> int:
        """How many decisions of a task lie in its database."""
        asked = f"SELECT count(*) FROM events WHERE kind = 'decision' AND position('{task_id}'::bytea IN payload) > 0"
        return int(self.postgres.ask(asked, self.database))

    def key_of(self, tenant: str) -> str:
        """A key of a tenant that its operator makes."""
        keys = self.server.service.first_keys
        assert keys is not None
        operator = httpx.Client(base_url=self.server.url, headers={"X-Admin-API-Key": keys.admin}, timeout=PATIENCE_S)
        with operator:
            operator.post("/v1/admin/tenants", json={"tenant": tenant}).raise_for_status()
            made = operator.post("/v1/admin/keys", json={"tenant": tenant, "name": "agents"})
        return str(made.raise_for_status().json()["key"])


class Proxy:
    """What `deploy/shards.Caddyfile` does: the first line that fits the headers says where a call goes."""

    def __init__(self, file: Path, shards: list[Shard]) -> None:
        text = file.read_text("utf-8")
        [source] = re.findall(r'map "(.+)" \{shard\}', text)
        self._headers = re.findall(r"\{header\.([\w-]+)\}", source)
        self._lines = [re.compile(pattern) for pattern in re.findall(r"^\s+~(\S+) ", text, re.MULTILINE)]
        self._shards = shards

    def shard_of(self, headers: dict[str, str]) -> Shard:
        sent = " ".join(headers.get(name, "") for name in self._headers)
        fitting = (shard for line, shard in zip(self._lines, self._shards, strict=True) if line.search(sent))
        return next(fitting, self._shards[0])

    def decide(self, headers: dict[str, str], task_id: str) -> int:
        """The status of a decision that is asked for through it."""
        body = {"planned_action": "make deploy", "task_id": task_id}
        url = self.shard_of(headers).server.url
        return httpx.post(f"{url}/v1/decisions", json=body, headers=headers, timeout=PATIENCE_S).status_code


@pytest.fixture(scope="module")
def shards(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Shard]]:
    """Two, on two database servers, with peppers of their own."""
    folder = tmp_path_factory.mktemp("shards")
    with running(Postgres) as second:
        urls = [server.database() for server in (postgres, second)]
        settings = [
            chosen(folder / f"{n}", url, pepper=pepper, shard=n)
            for n, (url, pepper) in enumerate(zip(urls, (PEPPER, "cd" * 32), strict=True))
        ]
        with Running(settings[0]) as one, Running(settings[1]) as other:
            both = zip((one, other), (postgres, second), urls, strict=True)
            yield [Shard(server, held, url.rpartition("/")[2]) for server, held, url in both]


@pytest.fixture
def proxy(shards: list[Shard]) -> Proxy:
    return Proxy(Path(__file__).parents[2] / "deploy" / "shards.Caddyfile", shards)


def test_each_tenants_events_lie_in_the_database_of_its_shard_alone(shards: list[Shard], proxy: Proxy) -> None:
    for n, shard in enumerate(shards):
        for tenant in (IN_BOTH, f"acme-{n}", f"beta-{n}"):
            key = shard.key_of(tenant)
            assert proxy.decide({"X-Api-Key": key}, f"{tenant}-at-{n}") == 200
    assert [shard.tenants() for shard in shards] == [{IN_BOTH, f"acme-{n}", f"beta-{n}"} for n in range(2)]
    for n in range(2):
        assert [shard.decisions(f"{IN_BOTH}-at-{n}") for shard in shards] == [int(n == 0), int(n == 1)]


def test_a_key_that_comes_to_the_wrong_shard_is_none_of_its_own(shards: list[Shard], proxy: Proxy) -> None:
    for shard, other in (shards, shards[::-1]):
        key = shard.key_of("lost")
        assert proxy.shard_of({"X-Api-Key": key}) is proxy.shard_of({"Authorization": f"Bearer {key}"}) is shard
        sent = httpx.get(f"{other.server.url}/v1/points", headers={"X-API-Key": key}, timeout=PATIENCE_S)
        assert (sent.status_code, sent.json()["code"]) == (401, "unauthorized")


def test_every_key_that_a_shard_makes_begins_with_it(shards: list[Shard]) -> None:
    shard = shards[1]
    keys = shard.server.service.first_keys
    assert keys is not None
    named = parse(shard.key_of("acme-1"))
    assert named is not None
    url, operator = f"{shard.server.url}/v1/admin/keys/{named.key_id}/rotate", {"X-Admin-API-Key": keys.admin}
    rotated = httpx.post(url, json={}, headers=operator, timeout=PATIENCE_S).json()["key"]
    made = [parse(text) for text in (keys.admin, keys.tenant, named.text, rotated)]
    assert [key.key_id[0] for key in made if key] == ["1"] * 4


def test_a_deployment_that_becomes_a_shard_keeps_the_keys_it_made(database_url: str, tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "before", database_url, pepper=PEPPER)) as server:
        keys = server.service.first_keys
    assert keys is not None
    with Running(chosen(tmp_path / "after", database_url, pepper=PEPPER, shard=61)) as server:
        server.client.headers["X-API-Key"] = keys.tenant
        server.gate()


def test_which_shard_a_deployment_is_shapes_no_decision() -> None:
    assert Settings(shard=61).hash == Settings().hash
