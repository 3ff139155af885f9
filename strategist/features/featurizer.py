"""Facts to state: bucket every feature, then write one key per level of every tiling."""

from collections.abc import Mapping, Sequence

from ..types import Chain, State
from .bins import MISSING, Bucket, Fact, category, edges, hashed, magnitude, rounded
from .spec import TEXT, Feature, FeatureSpec, Tiling

MEMO = 50_000  # chains remembered per tiling; beyond it the memo starts again


class Featurizer:
    """Pure and deterministic: the same facts give the same state under the same spec.

    States with the same buckets share their chains, which saves time here and memory while decisions wait.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._buckets = [(name, feature.fact, _bucket(feature)) for name, feature in spec.features.items()]
        self._tilings = [_Tiling(tiling) for tiling in spec.tilings]

    def state(
        self,
        facts: Mapping[str, Fact],
        *,
        text_codes: Sequence[str] = (),
        own: Mapping[str, Fact] | None = None,
        words: tuple[int, ...] = (),
        sketch: bytes = b"",
    ) -> State:
        """The state of one decision.

        A tiling of which no fact is known is left out, unless nothing else is known either: it would only dilute those
        that say something.

        Args:
          facts: raw inputs by the names the spec's features read.
          text_codes: codes of the request's text, coarse to fine; none leaves the text tiling out.
          own: the caller's own scalars; each of the first few (by name) gets a tiling, and all of them together.
          words: hashed words of the text.
          sketch: sign bits of the text's embedding.
        """
        buckets = {name: bucket(facts.get(fact)) for name, fact, bucket in self._buckets}
        chains = [tiling.chain(buckets) for tiling in self._tilings if tiling.tells(buckets)]
        if text_codes:
            root = "/".join((TEXT, *(buckets[name] for name in self.spec.text_root)))
            chains.append((root, *(f"{root}/{code}" for code in text_codes)))
        chains += _own(own or {}, self.spec.own_tilings)
        return State(tuple(chains or [self._tilings[0].chain(buckets)]), words, sketch)


def _own(own: Mapping[str, Fact], most: int) -> list[Chain]:
    known = [(name, magnitude(fact)) for name, fact in sorted(own.items())[:most]]
    chains: list[Chain] = [(f"own:{name}/", f"own:{name}/{bucket}") for name, bucket in known]
    if len(known) > 1:
        together = "/".join([f"{name}={bucket}" for name, bucket in known])
        chains.append(("own/", f"own/{together}"))
    return chains


class _Tiling:
    """One tiling with the chains it has written."""

    def __init__(self, tiling: Tiling) -> None:
        self._tiling = tiling
        self._features = tuple(name for level in tiling.levels for name in level)
        self._memo: dict[tuple[str, ...], Chain] = {}

    def tells(self, buckets: Mapping[str, str]) -> bool:
        return any(buckets[name] != MISSING for name in self._features)

    def chain(self, buckets: Mapping[str, str]) -> Chain:
        values = tuple([buckets[name] for name in self._features])
        chain = self._memo.get(values)
        if chain is None:
            if len(self._memo) >= MEMO:
                self._memo.clear()
            chain = self._memo[values] = self._write(buckets)
        return chain

    def _write(self, buckets: Mapping[str, str]) -> Chain:
        key, chain = self._tiling.name, []
        for level in self._tiling.levels:
            key = "/".join((key, *(buckets[feature] for feature in level))) if level else f"{key}/"
            chain.append(key)
        return tuple(chain)


def _bucket(feature: Feature) -> Bucket:
    match feature.kind:
        case "category":
            return category()
        case "edges":
            return edges(feature.bounds)
        case "rounded":
            return rounded(feature.digits)
        case "hashed":
            return hashed()
