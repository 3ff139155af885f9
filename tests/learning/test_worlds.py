"""The worlds of `make bench-learning`: each can be failed, and the shipped settings pass some of them here."""

import msgspec
import pytest

from benchmarks.learning.school import guesses, learns
from benchmarks.learning.shipped import shipped
from benchmarks.learning.worlds import WORLDS, Noise
from controlplane.rulebook import rules_of
from controlplane.settings import Settings

PASSED_HERE = ("bandit", "scale-small", "delay")  # half a second each


@pytest.mark.parametrize("name", WORLDS)
async def test_who_guesses_passes_no_world(name: str, seed: int) -> None:
    scores = [await guesses(WORLDS[name], seed + n) for n in range(3)]
    assert max(scores) < WORLDS[name].threshold / 2


@pytest.mark.parametrize("name", [*PASSED_HERE, pytest.param("credit-tree", marks=pytest.mark.nightly)])
async def test_the_shipped_settings_pass_this_world(name: str, seed: int) -> None:
    assert await learns(WORLDS[name], seed) > WORLDS[name].threshold


async def test_a_world_is_played_the_same_way_again_with_the_same_seed(seed: int) -> None:
    class Short(Noise):
        tasks = 30

    assert await learns(Short, seed) == await learns(Short, seed)
    assert await learns(Short, seed) != await learns(Short, seed + 1)


async def test_the_best_policy_scores_one(seed: int) -> None:
    """A world's own optimum is what its arms are worth."""
    for world in (kind(seed) for kind in WORLDS.values() if kind.steps == 1):
        context = world.begin()
        assert world.optimum(context) == max(world.worth(context, arm) for arm in "abcd") > world.guess(context)


async def test_what_learns_there_is_what_is_shipped_apart_from_the_rewards_weights() -> None:
    async with shipped(Settings(seed=1), {"custom.reward": 1.0}) as made:
        assert made.settings.hash == Settings().hash
        assert made.learner.state.settings_hash == Settings().hash
        points = made.rules.points
        default = rules_of(Settings(), {name: point.spec_hash for name, point in points.items()})
        weights = default.points["route"].weights
        route = msgspec.structs.replace(points["route"], weights=weights)
        assert msgspec.structs.replace(made.rules, points={**points, "route": route}) == default
