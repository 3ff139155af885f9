"""One of twenty keys lies as much as it can: what the nineteen others earn, with and without the cap on its share."""

import random
from collections import Counter

import msgspec
import pytest

from auditor import Outcome
from auditor import State as LearntState
from auditor.drift import Alarm
from auditor.events import (
    AnyEvent,
    Decided,
    Recorded,
    Reported,
)
from strategist import Eligible, State

from ..unit.auditor.story import rules_of, trace_of

PLACES = ("a/1", "b/1", "c/1", "d/1")
REGIONS, TICKS, TICK_S = 3, 100, 5.0
HONEST, LIAR = {f"key {n}" for n in range(19)}, "liar"
PRAISE = Outcome(latency_ms=0.0, cost=0.0, slo_hit=True, failures=0)
BLAME = Outcome(latency_ms=900.0, cost=2.0, slo_hit=False, failures=3)


def rank(region: int, place: str) -> int:
    """Each region has a best place (0) and a worst (3)."""
    return (region * 7 + PLACES.index(place) * 5) % 4


class World:
    """Every tick each honest key routes once and reports what came of it; the liar does so `pressure` times."""

    def __init__(self, seed: int, *, pressure: int, capped: bool) -> None:
        self._rng = random.Random(seed)
        self._state = LearntState(rules_of())
        self._pressure, self._capped = pressure, capped
        self._now = 1_000_000.0
        self.earned: list[float] = []  # by honest keys since the liar began; 1 is the best place every time
        self.alarms: list[Alarm] = []  # since then
        self.sent: Counter[str] = Counter()
        self.held: Counter[str] = Counter()

    def run(self, quiet: int, ticks: int) -> "World":
        """`quiet` ticks in which everybody is honest, then the liar begins."""
        for tick in range(quiet + ticks):
            self._now += TICK_S
            turns = sorted(HONEST) + [LIAR] * (self._pressure if tick >= quiet else 0)
            self._rng.shuffle(turns)
            for key in turns:
                self._turn(key, tick >= quiet)
        return self

    def _turn(self, key: str, begun: bool) -> None:
        region = self._rng.randrange(REGIONS)
        policy = self._state.of("t").policies["route"]
        chosen = policy.choose("place", State((("all", f"r{region}"),)), Eligible(actions=PLACES), self._rng, None)
        trace = msgspec.structs.replace(trace_of(f"t{self._state.seq}", chosen.action, point="route"), heads=(chosen,))
        self._fold(Decided(tenant="t", at=self._now, trace=trace))
        found = rank(region, chosen.action)
        outcome = (BLAME if found < 2 else PRAISE) if key == LIAR else self._honest(found)
        counts = not self._capped or self._state.shares.allow("t", key, self._now, {})
        alarms = self._fold(
            Reported(tenant="t", at=self._now, trace_id=trace.trace_id, outcome=outcome, by=key, counts=counts)
        )
        self.sent[key] += 1
        self.held[key] += not counts
        if begun:
            self.alarms += alarms
            if key != LIAR:
                self.earned.append(1.0 - found / 3.0)

    def _fold(self, event: AnyEvent) -> tuple[Alarm, ...]:
        return self._state.apply(Recorded(self._state.seq + 1, event)).alarms

    def _honest(self, found: int) -> Outcome:
        draw = self._rng
        return Outcome(
            latency_ms=max(0.0, draw.gauss(60.0 + 60.0 * found, 40.0)),
            cost=max(0.0, draw.gauss(0.2 + 0.3 * found, 0.1)),
            slo_hit=draw.random() < 0.95 - 0.2 * found,
            failures=int(draw.random() < 0.05 + 0.2 * found),
        )


Played = list[World]


def play(seeds: range, quiet: int, *, pressure: int, capped: bool) -> Played:
    """The same worlds each time; the draws of one differ as soon as the liar changes what is learnt."""
    return [World(seed, pressure=pressure, capped=capped).run(quiet, TICKS) for seed in seeds]


def value(played: Played) -> float:
    """What honest keys earned of what they could have."""
    return sum(sum(world.earned) for world in played) / sum(len(world.earned) for world in played)


def held(played: Played, keys: set[str]) -> float:
    """Share of these keys' reports that was held back."""
    return sum(w.held[k] for w in played for k in keys) / sum(w.sent[k] for w in played for k in keys)


@pytest.mark.parametrize(
    ("quiet", "pressure", "worlds"),
    [(TICKS, 20, 1), *(pytest.param(q, p, 10, marks=pytest.mark.nightly) for q in (0, TICKS) for p in (1, 5, 20))],
)
def test_one_liar_among_twenty_keys_costs_at_most_a_tenth_and_raises_an_alarm(
    request: pytest.FixtureRequest, quiet: int, pressure: int, worlds: int
) -> None:
    """It begins at once, or after a quiet time in which it could have saved up its share."""
    first = request.config.getoption("--seed")
    print(f"seed {first}")
    seeds = range(first, first + worlds)
    nobody = play(seeds, quiet, pressure=0, capped=True)
    without = play(seeds, quiet, pressure=pressure, capped=False)
    capped = play(seeds, quiet, pressure=pressure, capped=True)
    loss, truth = 1.0 - value(capped) / value(nobody), held(capped, HONEST)
    print(f"{worlds} worlds, quiet for {quiet} ticks, then {pressure} lies to each honest report of a key:")
    print(f"nobody lies {value(nobody):.3f}, no cap {value(without):.3f}, capped {value(capped):.3f}: loss {loss:.1%}")
    print(f"held back: {held(capped, {LIAR}):.1%} of the lies, {truth:.1%} of the truth")
    print(f"worlds with an alarm: {sum(bool(world.alarms) for world in capped)}")
    assert loss <= 0.10
    assert truth <= 0.01
    if pressure >= 5:
        assert value(without) < value(capped) - 0.05, "the cap is what holds"
        assert all(world.held[LIAR] for world in capped), "and it is seen at work"
    if quiet and pressure >= 5:
        assert sum(bool(world.alarms) for world in capped) >= 0.8 * worlds, "what was usual is known by then"
