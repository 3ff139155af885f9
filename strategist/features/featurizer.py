"""Facts to state: bucket every feature, then write one key per level of every tiling."""

from collections.abc import Mapping, Sequence

from ..types import Chain, State
from .bins import Bucket, Fact, category, edges, magnitude, rounded
from .spec import Feature, FeatureSpec, Tiling

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
        self, facts: Mapping[str, Fact], *, text_codes: Sequence[str] = (), own: Mapping[str, Fact] | None = None
    ) -> State:
        """The state of one decision.

        Args:
          facts: raw inputs by the names the spec's features read.
          text_codes: codes of the request's text, coarse to fine; none leaves the text tiling out.
          own: the caller's own scalars; each of the first few (by name) gets a tiling.
        """
        buckets = {name: bucket(facts.get(fact)) for name, fact, bucket in self._buckets}
        chains = [tiling.chain(buckets) for tiling in self._tilings]
        if text_codes:
            root = "/".join(("text", *(buckets[name] for name in self.spec.text_root)))
            chains.append((root, *(f"{root}/{code}" for code in text_codes)))
        for name, fact in sorted((own or {}).items())[: self.spec.own_tilings]:
            chains += ((f"own:{name}/", f"own:{name}/{magnitude(fact)}"),)
        return State(tuple(chains))


class _Tiling:
    """One tiling with the chains it has written."""

    def __init__(self, tiling: Tiling) -> None:
        self._tiling = tiling
        self._features = tuple(name for level in tiling.levels for name in level)
        self._memo: dict[tuple[str, ...], Chain] = {}

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
