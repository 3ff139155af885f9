"""Deployments of up to 1,000 replicas and 512 shards: what they bear, how they answer, what they cost."""

from typing import Any, NamedTuple

from .costs import Costs, Prices, capacity, usd_per_million
from .model import Journal, Played
from .population import PARTS, busiest, shares, split

REPLICAS, SHARDS = (1, 10, 100, 1_000), (1, 2, 8, 64, 512)
RATES = (100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)  # decisions a second that are offered
LOADS = (0.1, 0.5, 0.9)  # of what one journal bears
DECISIONS, SHORTEST_S = 6_000, 2.0  # played of a shard; a slow one for no less than that
ROOM = 0.8  # of what a shard bears, to be called borne: the rest is for what a mean does not show
PROMISED_S = 0.25  # the lag that docs/scale.md promises at the 99th percentile


class Deployment(NamedTuple):
    """Replicas in sum, shards that they are spread over by how busy each is, and whether large tenants are split."""

    replicas: int
    shards: int
    split: bool

    def busiest(self, seed: int) -> float:
        """Its busiest shard's share of all calls."""
        of_tenants = shares()
        return busiest(split(of_tenants, 1 / (PARTS * self.shards)) if self.split else of_tenants, self.shards, seed)

    def usd(self, costs: Costs, prices: Prices, rate: float) -> float:
        return usd_per_million(costs, prices, replicas=self.replicas, shards=self.shards, rate=rate)


DEPLOYMENTS = [
    Deployment(replicas, shards, large)
    for replicas in REPLICAS
    for shards in SHARDS
    for large in (False, True)
    if shards <= replicas and (shards > 1 or not large)
]


def useful_replicas(costs: Costs, prices: Prices, most: int) -> int:
    """With how many replicas, up to that, a journal bears most: from some number on one more is a reader too many."""
    return max(range(1, most + 1), key=lambda replicas: capacity(costs, prices, replicas)[0])


def bearing(costs: Costs, prices: Prices, deployment: Deployment, seed: int) -> dict[str, Any]:
    """What the whole bears until its busiest shard is full; that one has no more replicas than do it good."""
    share = deployment.busiest(seed)
    replicas = useful_replicas(costs, prices, max(1, round(deployment.replicas * share)))
    most, full = capacity(costs, prices, replicas)
    return {
        **deployment._asdict(),
        "busiest shard": share,
        "its replicas": replicas,
        "it bears/s": most,
        "all bear/s": most / share,
        "first full": full,
    }


def busier(costs: Costs, prices: Prices, seed: int) -> list[dict[str, Any]]:
    """One journal, by its replicas, at shares of what it bears."""
    rows: list[dict[str, Any]] = []
    for replicas in REPLICAS:
        most, full = capacity(costs, prices, replicas)
        for load in LOADS:
            found = _play(costs, prices, replicas, load * most, seed)
            rows.append({"replicas": replicas, "decisions/s": load * most, "load": load, **_figures(found)})
        rows[-1]["first full"] = full
    return rows


def cheapest(costs: Costs, prices: Prices, seed: int) -> list[dict[str, Any]]:
    """For each rate the deployment that costs least of those whose busiest shard bears it with the promised lag."""
    rows: list[dict[str, Any]] = []
    for rate in RATES:
        by_cost = sorted(DEPLOYMENTS, key=lambda deployment: deployment.usd(costs, prices, rate))
        bearing_it = ((d, found) for d in by_cost if (found := _borne(costs, prices, d, rate, seed)) is not None)
        deployment, found = next(bearing_it, (None, None))
        row: dict[str, Any] = {"decisions/s": rate, "replicas": "none bears it"}
        if deployment is not None and found is not None:
            row |= {**deployment._asdict(), "usd per million": deployment.usd(costs, prices, rate), **_figures(found)}
        rows.append(row)
    return rows


def _borne(costs: Costs, prices: Prices, deployment: Deployment, rate: float, seed: int) -> Played | None:
    """How its busiest shard does; None where that is full or late."""
    share = deployment.busiest(seed)
    replicas = useful_replicas(costs, prices, max(1, round(deployment.replicas * share)))
    if rate * share > ROOM * capacity(costs, prices, replicas)[0]:
        return None
    found = _play(costs, prices, replicas, rate * share, seed)
    return found if found.lag_p99_s <= PROMISED_S else None


def _play(costs: Costs, prices: Prices, replicas: int, rate: float, seed: int) -> Played:
    journal = Journal(costs, replicas=replicas, rate=rate, seed=seed, database_cores=prices.database_cores)
    return journal.play(max(SHORTEST_S, DECISIONS / rate))


def _figures(found: Played) -> dict[str, float]:
    """In the units of the tables."""
    return {
        "lag p50 ms": 1000 * found.lag_p50_s,
        "lag p99 ms": 1000 * found.lag_p99_s,
        "answer p50 ms": 1000 * found.answer_p50_s,
        "answer p99 ms": 1000 * found.answer_p99_s,
        "replica": found.replica_busy,
        "journal": found.journal_busy,
        "database": found.database_busy,
        "group": found.group,
    }
