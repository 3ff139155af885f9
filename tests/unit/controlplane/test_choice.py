"""Heads are chosen in turn, and what first heads draw does not hang on whether a later one was drawn."""

import random
from collections.abc import Sequence

from auditor import PointRules
from controlplane.contract import DecisionRequest
from controlplane.executor.choice import choose
from controlplane.executor.point import Acting, Evidence, Executed, Features, Point
from strategist import Eligible, HeadChoice, Policy, PolicySettings, State

STATE = State((("s",),))


class TwoHeads(Point[Evidence]):
    """A verdict, and a tier where one can be had in time."""

    name, heads = "two", ("verdict", "tier")
    features = Features("gate.toml")

    def __init__(self, *tiers: str) -> None:
        self.tiers = tiers

    def eligible(
        self, head: str, evidence: Evidence, acting: Acting, state: State, taken: Sequence[HeadChoice]
    ) -> Eligible:
        return Eligible(actions=("PROCEED", "HINT", "BLOCK") if head == "verdict" else self.tiers)

    async def execute(self, evidence: Evidence, request: DecisionRequest, taken: Sequence[HeadChoice]) -> Executed:
        raise NotImplementedError


def verdicts(point: TwoHeads, seed: int) -> list[str]:
    settings = PolicySettings()
    acting = Acting(Policy(settings), PointRules(policy=settings, spec_hash="", weights={}, window_s=1.0))
    first, later = random.Random(seed), random.Random(f"{seed} later")
    return [choose(point, Evidence(facts={}), acting, STATE, first, later)[0].action for _ in range(200)]


def test_with_one_seed_first_heads_draw_the_same_whether_or_not_later_ones_have_something_to_draw(seed: int) -> None:
    """What a later head may choose from hangs on what models answered in time: on the machine's load."""
    drawn = verdicts(TwoHeads("cached", "cheap"), seed)
    assert drawn == verdicts(TwoHeads(), seed)
    assert len(set(drawn)) == 3
