"""What each act of a replica and of its database takes, as measured; what machines cost, as assumed."""

import msgspec

GROUP = 256  # events of a commit at most
HOUR_S, MONTH_H, GB = 3600.0, 730.0, 1e9


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of processor time, but where it says of which clock; per call, event, commit or read.

    A decision is one event, and so is the report on it: two events a decision.
    """

    decide_s: float  # a decision at the replica that takes it, but for its fold
    report_s: float
    fold_s: float  # an event at any replica: to read, decode and fold it
    group_s: float  # a group at the replica that commits it, however many calls are in it
    wake_s: float  # a replica that hears of news, however much there is
    commit_s: float  # wall clock: how long a commit keeps the next one out, however many events it has
    commit_event_s: float  # wall clock: and for each of them
    heard_s: float  # wall clock: from a commit until another replica has what was written
    read_s: float  # the database's, for a read of the log
    read_event_s: float
    commit_cpu_s: float  # the database's, for a commit
    commit_event_cpu_s: float
    event_bytes: float  # on the database's disk, with its indexes
    connections: float  # that a replica holds

    def stretched(self, replica: float, database: float) -> "Costs":
        """Where processes wait for a processor so often that work takes so many times as long as was measured."""
        times = dict.fromkeys(("decide_s", "report_s", "fold_s", "group_s", "wake_s"), replica)
        times |= dict.fromkeys(("commit_s", "commit_event_s", "heard_s", "read_s", "read_event_s"), database)
        return msgspec.structs.replace(self, **{name: getattr(self, name) * by for name, by in times.items()})


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Assumed, in dollars: round figures of a large cloud's list prices, not an offer of anybody's."""

    core_hour_usd: float = 0.04
    gb_month_usd: float = 0.10  # of a disk that the journal lies on
    write_ios_usd: float = 0.20  # a million writes to it
    database_cores: int = 8  # of each shard's PostgreSQL
    kept_months: float = 3.0  # how long an event is paid for
    replica_cores: int = 1


def capacity(costs: Costs, prices: Prices, replicas: int) -> tuple[float, str]:
    """Decisions a second that one journal with so many replicas carries, each reported, and what is full then.

    Everything comes in as large groups when it is full, so what is paid per group is left out but for a full one's.
    """
    calls, folds = costs.decide_s + costs.report_s, 2 * costs.fold_s
    commit = 2 * (costs.commit_event_s + costs.commit_s / GROUP)
    database = 2 * (replicas * costs.read_event_s + costs.commit_event_cpu_s + costs.commit_cpu_s / GROUP)
    full = {
        "fold" if folds > calls / replicas else "calls": 1 / (calls / replicas + folds),
        "journal": 1 / commit,
        "database": prices.database_cores / database,
    }
    first = min(full, key=lambda name: full[name])
    return full[first], first


def usd_per_million(costs: Costs, prices: Prices, *, replicas: int, shards: int, rate: float) -> float:
    """Dollars for a million decisions with their reports, at a rate of decisions a second."""
    cores = replicas * prices.replica_cores + shards * prices.database_cores
    processors = cores * prices.core_hour_usd / (rate * HOUR_S)
    disk = 2 * costs.event_bytes / GB * prices.gb_month_usd * prices.kept_months
    writes = 2 * prices.write_ios_usd / 1e6  # at most one for each event: groups share them
    return 1e6 * (processors + disk + writes)
