"""Facts to state: bucket every feature, then write one key per level of every tiling."""

from collections.abc import Mapping, Sequence

from ..types import Chain, State
from .bins import Bucket, Fact, category, edges, magnitude, rounded
from .spec import Feature, FeatureSpec, Tiling


class Featurizer:
    """Pure and deterministic: the same facts give the same state under the same spec."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self._buckets = [(name, feature.fact, _bucket(feature)) for name, feature in spec.features.items()]

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
        chains = [_chain(tiling, buckets) for tiling in self.spec.tilings]
        if text_codes:
            root = "/".join(("text", *(buckets[name] for name in self.spec.text_root)))
            chains.append((root, *(f"{root}/{code}" for code in text_codes)))
        extra = sorted((own or {}).items())[: self.spec.own_tilings]
        return State((*chains, *((f"own:{name}/", f"own:{name}/{magnitude(fact)}") for name, fact in extra)))


def _chain(tiling: Tiling, buckets: Mapping[str, str]) -> Chain:
    key, chain = tiling.name, []
    for level in tiling.levels:
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
