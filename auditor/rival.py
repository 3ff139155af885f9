"""A challenger: another policy at a point that learns beside the one that acts, from the same decisions.

As a shadow it only says what it would do; as a canary it acts on a share of the tasks. Once it was promoted, the
former champion stands in its place, and learns on.
"""

from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from strategist import Link, Policy, PolicySnapshot

from .comparison import Comparison
from .override import Override, Tuning
from .rules import PointRules


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a challenger does otherwise than the settings say, and the checkpoint it began with."""

    tuning: Tuning = Tuning()
    weights: dict[str, float] = {}
    checkpoint_id: str | None = None

    def over(self, override: Override) -> Override:
        """What is set at the point once the challenger is its champion."""
        return msgspec.structs.replace(override, tuning=self.tuning, weights=self.weights)


class RivalDump(msgspec.Struct, frozen=True, kw_only=True):
    """One at rest."""

    number: int
    spec: Spec
    share: float
    former: bool
    snapshot: PolicySnapshot
    comparison: Comparison


class Rival:
    """One at work; `number` is that of the event that set it up, or put it in the champion's place."""

    def __init__(self, number: int, spec: Spec, share: float, policy: Policy, rules: PointRules) -> None:
        self.number, self.spec, self.share, self.former = number, spec, share, False
        self.policy, self.rules, self.comparison = policy, rules, Comparison()
        self._against = rules  # the champion's, by which both are judged

    def configure(self, override: Override, settings: PointRules) -> None:
        """Follow what is set at the point, in all it does not do otherwise; a challenger always learns.

        Another policy or other weights of the champion's begin another comparison.
        """
        against = override.over(settings)
        if (against.policy, against.weights) != (self._against.policy, self._against.weights):
            self.comparison = Comparison()
        self._against = against
        rules = self.spec.over(override).over(settings)
        policy = msgspec.structs.replace(rules.policy, mode="learning")
        if policy != self.policy.settings:
            self.policy.configure(policy)
        self.rules = msgspec.structs.replace(rules, policy=policy)

    def acts_on(self, task: str) -> bool:
        """Whether the task is among its share: always the same ones."""
        digest = blake2b(f"{self.number} {task}".encode(errors="replace"), digest_size=8).digest()
        return int.from_bytes(digest) < self.share * 2.0**64

    def learn(self, seq: int, links: Sequence[Link], rewards: Sequence[float]) -> None:
        """Fold what the point learnt, by its own weights and discount."""
        mine = [self._mine(link, reward) for link, reward in zip(links, rewards, strict=True)]
        self.policy.fold_back(mine, seq)

    def _mine(self, link: Link, reward: float) -> Link:
        discount = self.policy.settings.gamma if link.transition.discount else 0.0
        return Link(msgspec.structs.replace(link.transition, reward=reward, discount=discount), link.after)

    def dump(self) -> RivalDump:
        return RivalDump(
            number=self.number,
            spec=self.spec,
            share=self.share,
            former=self.former,
            snapshot=PolicySnapshot.of(self.policy, self.rules.spec_hash),
            comparison=self.comparison,
        )

    @classmethod
    def load(cls, dump: RivalDump, rules: PointRules) -> "Rival":
        """The one a dump holds; it is configured before it is used.

        Raises:
          SpecMismatch: its values were learnt under another feature spec.
        """
        policy = dump.snapshot.restore(rules.policy, rules.spec_hash)
        rival = cls(dump.number, dump.spec, dump.share, policy, rules)
        rival.former, rival.comparison = dump.former, dump.comparison
        return rival
