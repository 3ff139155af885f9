"""Learnt values at rest: a policy's cells with the hash of the feature spec that made their keys."""

from typing import Self

import msgspec

from .errors import SpecMismatch
from .policy import Policy, PolicySettings


class PolicySnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A policy's learnt values; equal policies give equal bytes."""

    spec_hash: str
    updates: int
    cells: list[tuple[str, str, float, int]]  # (key, action, value, visits), sorted

    @classmethod
    def of(cls, policy: Policy, spec_hash: str) -> Self:
        return cls(spec_hash=spec_hash, updates=policy.updates, cells=list(policy.table.cells()))

    def restore(self, settings: PolicySettings, spec_hash: str) -> Policy:
        """A policy with these values.

        Raises:
          SpecMismatch: the values were learnt under another feature spec.
        """
        if spec_hash != self.spec_hash:
            raise SpecMismatch(f"learnt under feature spec {self.spec_hash}, asked for {spec_hash}")
        policy = Policy(settings)
        policy.updates = self.updates
        for key, action, value, visits in self.cells:
            policy.table.put(key, action, value, visits)
        return policy
