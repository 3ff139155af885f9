"""What the time of a refusal gives away: another tenant's things beside nobody's, wrong secrets beside unknown ids.

The two kinds are asked in a random order over one connection. What counts is the difference of their medians with its
95 % interval (bootstrap), beside the same for one kind against itself, which is what noise alone gives.
"""

import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np

from auditor.events import KeyIssued, Recorded
from controlplane.errors import Unauthorized
from controlplane.tenants import Registry, new_key

from . import servers
from .access import ADMIN, HEADERS, TENANT

ASKED, WARM_UP, THINGS, RESAMPLES, SEED = 5_000, 500, 50, 1_000, 1
Ask = Callable[[], None]


def measure() -> dict[str, Any]:
    """Every pair's difference."""
    servers.pin_load()
    rng = random.Random(SEED)
    server = servers.pointsman(POINTSMAN_EMBEDDER="hashing")
    with server as (port, _), httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=HEADERS) as client:
        traces, episodes = _of_another(client)
        pairs = {
            "trace": _pair(client, rng, "/v1/decisions/{}", traces, lambda: "tr_" + rng.randbytes(16).hex()),
            "episode": _pair(client, rng, "/v1/episodes/{}", episodes, lambda: str(rng.randrange(10**6, 10**7))),
            "key": (_refused(client, lambda: _wrong_secret(TENANT.key_id)), _refused(client, _unknown_key)),
        }
        found = {name: compare(rng, *pair) for name, pair in pairs.items()}
    return {**found, "key_in_process": compare(rng, *_in_process())}


def compare(rng: random.Random, one: Ask, other: Ask) -> dict[str, Any]:
    """Difference of the medians of two kinds of calls [us], and of the second against itself."""
    took: tuple[list[float], ...] = ([], [], [])
    for number in range(3 * (ASKED + WARM_UP)):
        kind = rng.randrange(3)  # the third is the second again
        begun = time.perf_counter()
        (one, other, other)[kind]()
        if number >= 3 * WARM_UP:
            took[kind].append((time.perf_counter() - begun) * 1e6)
    known, unknown, again = (np.array(times) for times in took)
    return {
        "median_us": round(float(np.median(unknown)), 2),
        "difference_us": round(float(np.median(known) - np.median(unknown)), 2),
        "interval_us": _interval(known, unknown),
        "noise_us": _interval(again, unknown),
    }


def _interval(one: Any, other: Any) -> list[float]:
    draw = np.random.default_rng(SEED)
    medians = [
        float(np.median(draw.choice(one, len(one))) - np.median(draw.choice(other, len(other))))
        for _ in range(RESAMPLES)
    ]
    return [round(float(q), 2) for q in np.quantile(medians, (0.025, 0.975))]


def _of_another(client: httpx.Client) -> tuple[list[str], list[str]]:
    """Ids of decisions and episodes of a tenant that is not the one that asks."""
    client.post("/v1/admin/tenants", json={"tenant": "other", "tier": "local"}).raise_for_status()
    key = {"X-API-Key": client.post("/v1/admin/keys", json={"tenant": "other"}).raise_for_status().json()["key"]}
    traces, episodes = [], []
    for n in range(THINGS):
        plan = {"goal": f"goal {n}", "planned_action": f"make {n}"}
        traces.append(client.post("/v1/decisions", json=plan, headers=key).raise_for_status().json()["trace_id"])
        episodes.append(str(client.post("/v1/capture", json=plan, headers=key).raise_for_status().json()["episode_id"]))
    return traces, episodes


def _pair(
    client: httpx.Client, rng: random.Random, path: str, theirs: list[str], nobodys: Callable[[], str]
) -> tuple[Ask, Ask]:
    def ask(name: Callable[[], str]) -> Ask:
        def get() -> None:
            assert client.get(path.format(name())).status_code == 404

        return get

    return ask(lambda: rng.choice(theirs)), ask(nobodys)


def _refused(client: httpx.Client, key: Callable[[], str]) -> Ask:
    def get() -> None:
        assert client.get("/status", headers={"X-API-Key": key()}).status_code == 401

    return get


def _wrong_secret(key_id: str) -> str:
    return new_key("tenant")._replace(key_id=key_id).text


def _unknown_key() -> str:
    return new_key("tenant").text


def _in_process() -> tuple[Ask, Ask]:
    """The registry alone, where the network's noise is not."""
    registry = Registry(bytes(32))
    for seq, key in enumerate((TENANT, ADMIN), 1):
        made = KeyIssued(
            tenant="default", at=0.0, key_id=key.key_id, key_kind=key.kind, name="", scopes=(),
            digest=registry.digest(key), ends_at=None, by="",
        )  # fmt: skip
        registry.observe(Recorded(seq, made))

    def ask(keys: list[str]) -> Ask:
        sent = iter(keys)

        def call() -> None:
            try:
                registry.caller(next(sent), "tenant", 0.0)
            except Unauthorized:
                return
            raise AssertionError("a wrong key was accepted")

        return call

    count = 3 * (ASKED + WARM_UP)
    return ask([_wrong_secret(TENANT.key_id) for _ in range(count)]), ask([_unknown_key() for _ in range(count)])
