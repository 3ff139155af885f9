"""The model of many replicas: where theory has an answer it gives the same, and it is full where it says it is."""

import msgspec
import pytest

from benchmarks.scale.calibration import line
from benchmarks.scale.costs import Costs, Prices, capacity, usd_per_million
from benchmarks.scale.deployments import useful_replicas
from benchmarks.scale.model import Journal
from benchmarks.scale.population import busiest, shares, split

FREE = Costs(**dict.fromkeys(Costs.__struct_fields__, 0.0))
COSTS = msgspec.structs.replace(
    FREE,
    decide_s=5e-4,
    report_s=2e-4,
    fold_s=1e-4,
    group_s=3e-4,
    wake_s=4e-4,
    commit_s=2e-3,
    commit_event_s=5e-5,
    heard_s=1e-3,
    read_s=3e-4,
    read_event_s=1e-5,
)


def test_commits_of_single_events_wait_as_long_as_pollaczek_and_khinchine_say() -> None:
    """M/D/1: of what is taken for a share r of the time, s at a time, each has it after s + s r / 2(1 - r)."""
    takes_s, decisions = 2e-3, 150.0
    played = Journal(msgspec.structs.replace(FREE, commit_s=takes_s), replicas=24, rate=decisions, seed=1).play(30.0)
    busy = takes_s * 2 * decisions
    assert played.group == pytest.approx(1.0, rel=0.05)
    assert played.journal_busy == pytest.approx(busy, rel=0.05)
    assert played.answer_mean_s == pytest.approx(takes_s + takes_s * busy / 2 / (1 - busy), rel=0.1)


def test_commits_follow_one_another_and_take_more_events_the_longer_they_wait() -> None:
    slow = msgspec.structs.replace(FREE, commit_s=10e-3)
    alone, four = (Journal(slow, replicas=n, rate=500.0, seed=1).play(10.0) for n in (1, 4))
    assert alone.journal_busy == pytest.approx(1.0, rel=0.02)
    assert alone.group == pytest.approx(2 * 500.0 * 10e-3, rel=0.05), "every event of 10 ms in one commit"
    assert four.answer_mean_s == pytest.approx(4 * alone.answer_mean_s, rel=0.1), "each waits for the other three"


def test_a_journal_bears_what_is_said_and_no_more() -> None:
    most, full = capacity(COSTS, Prices(), 10)
    assert full == "fold"
    assert most == pytest.approx(1 / ((5e-4 + 2e-4) / 10 + 2 * 1e-4))
    bears = [Journal(COSTS, replicas=10, rate=0.8 * most, seed=1).play(s).lag_p50_s for s in (1.0, 3.0)]
    falls_behind = [Journal(COSTS, replicas=10, rate=1.5 * most, seed=1).play(s).lag_p50_s for s in (1.0, 3.0)]
    assert bears[1] < 2 * bears[0]
    assert falls_behind[1] > 2 * falls_behind[0]


def test_the_same_seed_plays_the_same_and_another_one_another() -> None:
    one, again, other = (Journal(COSTS, replicas=40, rate=200.0, seed=seed).play(2.0) for seed in (1, 1, 2))
    assert one == again != other


def test_every_replica_folds_every_event() -> None:
    folds = msgspec.structs.replace(FREE, fold_s=1e-3)
    one, many = (Journal(folds, replicas=n, rate=100.0, seed=1).play(20.0).replica_busy for n in (1, 8))
    assert one == pytest.approx(2 * 100.0 * 1e-3, rel=0.05)
    assert many == pytest.approx(one, rel=0.05), "more replicas take nothing off a fold"


def test_readers_that_a_database_cannot_serve_make_a_journal_bear_less() -> None:
    reading = msgspec.structs.replace(COSTS, read_event_s=1e-4)
    best = useful_replicas(reading, Prices(), 1_000)
    assert 1 < best < 1_000
    assert capacity(reading, Prices(), best)[0] > capacity(reading, Prices(), 1_000)[0]
    assert capacity(reading, Prices(), 1_000)[1] == "database"


def test_no_number_of_shards_divides_a_tenant_but_splitting_it_does() -> None:
    of_tenants = shares()
    assert of_tenants.sum() == pytest.approx(1.0)
    assert busiest(of_tenants, 512, seed=1) >= of_tenants[0] > 0.1
    parts = split(of_tenants, 1 / 4096)
    assert (parts.sum(), parts.max() <= 1 / 4096) == (pytest.approx(1.0), True)
    assert busiest(parts, 512, seed=1) < 0.01


def test_a_cost_at_two_sizes_is_a_part_paid_once_and_one_for_each() -> None:
    assert line(1, 256, 5.0, 260.0) == (4.0, 1.0)
    assert line(1, 256, 5.0, 4.0) == (5.0, 0.0), "neither part is less than nothing"


def test_a_million_decisions_cost_their_processors_and_their_bytes() -> None:
    prices = Prices(core_hour_usd=3.6, gb_month_usd=1.0, write_ios_usd=0.5, database_cores=8, kept_months=2.0)
    costs = msgspec.structs.replace(FREE, event_bytes=1000.0)
    told = usd_per_million(costs, prices, replicas=2, shards=1, rate=10.0)
    assert told == pytest.approx(10 * 1000.0 * 0.1 + 2 * 2.0 + 2 * 0.5)
