"""Learnt values at rest: a policy's cells with the hash of the feature spec that made their keys."""

from typing import Self

import msgspec

from .errors import SpecMismatch
from .policy import NOISE, Policy, PolicySettings
from .types import Transition


class PolicySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A policy's learnt values; equal policies give equal bytes.

    What stands after `cells` is missing where it was written by a version that did not know it.
    """

    spec_hash: str
    updates: int
    cells: list[tuple[str, str, float, int]]  # (key, action, value, visits), sorted
    linear: list[tuple[str, int, float, float]] = []  # (action, place, weight, squares), sorted
    stacking: list[tuple[str, float, float]] = []  # (estimate, weight, squares), sorted
    noise: float = NOISE
    experience: list[Transition] = []  # oldest first
    cases: list[tuple[str, bytes, bytes]] = []  # (action, sketches, targets), sorted, each one's oldest first

    @classmethod
    def of(cls, policy: Policy, spec_hash: str) -> Self:
        values = policy.action_values
        return cls(
            spec_hash=spec_hash,
            updates=policy.updates,
            cells=list(policy.table.cells()),
            linear=list(values.linear.rows()),
            stacking=list(values.stacking.rows()),
            noise=policy.noise,
            experience=list(policy.experience.kept),
            cases=list(values.neighbours.blocks()),
        )

    def restore(self, settings: PolicySettings, spec_hash: str) -> Policy:
        """A policy with these values.

        Raises:
          SpecMismatch: the values were learnt under another feature spec.
        """
        if spec_hash != self.spec_hash:
            raise SpecMismatch(f"learnt under feature spec {self.spec_hash}, asked for {spec_hash}")
        policy = Policy(settings)
        policy.updates, policy.noise = self.updates, self.noise
        policy.experience.kept.extend(self.experience)
        for action, sketches, targets in self.cases:
            policy.action_values.neighbours.put(action, sketches, targets)
        for key, action, value, visits in self.cells:
            policy.table.put(key, action, value, visits)
        for action, place, weight, squares in self.linear:
            policy.action_values.linear.put(action, place, weight, squares)
        for name, weight, squares in self.stacking:
            policy.action_values.stacking.put(name, weight, squares)
        return policy
