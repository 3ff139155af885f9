"""Spec, featurizer and codebook: data in, keys out, the same everywhere."""

import msgspec
import numpy as np
import pytest

from strategist import BadSpec
from strategist.features.codebook import Centroids, SignBits
from strategist.features.featurizer import Featurizer
from strategist.features.spec import Feature, FeatureSpec
from strategist.features.words import words_of

TOML = """
point = "route"
version = 1
text_bits = [4, 6]
text_root = ["region"]
own_tilings = 2

[features]
region = { fact = "region" }
latency = { fact = "latency_ms", kind = "edges", bounds = [20, 100] }
coherence = { fact = "psi_coherence", kind = "rounded", digits = 1 }

[[tilings]]
name = "place"
levels = [[], ["region"], ["latency"]]

[[tilings]]
name = "signals"
levels = [["coherence", "region"]]
"""
FACTS = {"region": "US-West", "latency_ms": 50, "psi_coherence": 0.68}


@pytest.fixture
def featurizer() -> Featurizer:
    return Featurizer(FeatureSpec.from_toml(TOML))


def test_state_has_a_chain_per_tiling_from_coarse_to_fine(featurizer: Featurizer) -> None:
    assert featurizer.state(FACTS).chains == (
        ("place/", "place//us-west", "place//us-west/1"),
        ("signals/0.7/us-west",),
    )


def test_missing_facts_have_keys_of_their_own(featurizer: Featurizer) -> None:
    assert featurizer.state({"region": "eu"}).chains == (("place/", "place//eu", "place//eu/?"), ("signals/?/eu",))
    known, unknown = featurizer.state({**FACTS, "latency_ms": 0}), featurizer.state({**FACTS, "latency_ms": None})
    assert known != unknown


def test_tiling_of_which_nothing_is_known_is_left_out() -> None:
    """It would only dilute the others; where nothing at all is known the first one stands."""
    apart = Featurizer(FeatureSpec.from_toml(TOML.replace('["coherence", "region"]', '["coherence"]')))
    assert [chain[0] for chain in apart.state({"region": "eu"}).chains] == ["place/"]
    assert [chain[0] for chain in apart.state({"psi_coherence": 0.5}).chains] == ["signals/0.5"]
    assert [chain[0] for chain in apart.state({}, own={"tier": "gold"}).chains] == ["own:tier/"]
    assert apart.state({}).chains == (("place/", "place//?", "place//?/?"),)


def test_facts_the_spec_does_not_read_change_nothing(featurizer: Featurizer) -> None:
    assert featurizer.state({**FACTS, "weather": "fog"}) == featurizer.state(FACTS)


def test_same_facts_give_the_same_state_in_any_order_and_any_process(featurizer: Featurizer) -> None:
    again = Featurizer(FeatureSpec.from_toml(TOML))
    for facts in (FACTS, dict(reversed(FACTS.items())), FACTS):
        assert featurizer.state(facts) == again.state(facts)


def test_text_codes_make_a_chain_under_the_text_root(featurizer: Featurizer) -> None:
    chains = featurizer.state(FACTS, text_codes=("hashing:0110", "hashing:011010")).chains
    assert chains[2] == ("text/us-west", "text/us-west/hashing:0110", "text/us-west/hashing:011010")


def test_request_without_text_has_no_text_chain(featurizer: Featurizer) -> None:
    assert len(featurizer.state(FACTS).chains) == 2


def test_callers_own_scalars_get_a_tiling_each_up_to_the_specs_number_and_one_together(
    featurizer: Featurizer,
) -> None:
    """By name, so that the order of a JSON object means nothing."""
    own = {"tier": "gold", "batch": 300, "zebra": 1}
    chains = featurizer.state(FACTS, own=own).chains[2:]
    assert chains == (
        ("own:batch/", "own:batch/+8"),
        ("own:tier/", "own:tier/gold"),
        ("own/", "own/batch=+8/tier=gold"),
    )
    assert featurizer.state(FACTS, own=dict(reversed(own.items()))).chains[2:] == chains


def test_values_with_slashes_never_make_the_key_of_another_state(featurizer: Featurizer) -> None:
    """Region "us/1" alone is not region "us" with latency bucket 1, nor own "a/b" the child of own "a"."""
    keys = {key for chain in featurizer.state({"region": "us/1"}).chains for key in chain}
    others = {key for chain in featurizer.state({"region": "us", "latency_ms": 50}).chains for key in chain}
    assert keys & others == {"place/"}
    chains = featurizer.state({}, own={"a": "b/", "a/b": ""}).chains
    assert len({key for chain in chains for key in chain}) == 6


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (("point =", "point"), "cannot be read"),  # no TOML
        (('name = "place"\n', ""), "cannot be read"),  # a tiling without a name
        (('kind = "edges"', 'kind = "guess"'), "cannot be read"),
        (("version = 1", 'version = "one"'), "cannot be read"),
        (("version = 1", "version = 1\nsurprise = 2"), "surprise"),
        (("digits = 1", "digits = 1, unit = 2"), "unit"),
        (('["latency"]', '["latenzy"]'), "latenzy"),
        (('text_root = ["region"]', 'text_root = ["religion"]'), "religion"),
        (('levels = [["coherence", "region"]]', "levels = []"), "'signals' has no levels"),
        (("digits = 1", "digits = -1"), "digits"),
        (("own_tilings = 2", "own_tilings = -2"), "own_tilings"),
        (('name = "signals"', 'name = "place"'), "share a name"),
    ],
)
def test_spec_that_contradicts_itself_is_refused_by_name(damage: tuple[str, str], complaint: str) -> None:
    assert damage[0] in TOML
    with pytest.raises(BadSpec, match=complaint):
        FeatureSpec.from_toml(TOML.replace(*damage))


def test_spec_without_tilings_is_refused() -> None:
    with pytest.raises(BadSpec, match="no tilings"):
        FeatureSpec(point="p", version=1, features={}, tilings=())


def test_bounds_that_do_not_rise_are_refused() -> None:
    with pytest.raises(BadSpec, match="the bounds of fact 'load' do not rise"):
        Feature(fact="load", kind="edges", bounds=(3.0, 1.0))


def test_sketch_of_a_length_that_cannot_be_compared_is_refused() -> None:
    with pytest.raises(BadSpec, match="sketch_bits is 100; give a multiple of 64"):
        FeatureSpec.from_toml(TOML.replace("own_tilings = 2", "own_tilings = 2\nsketch_bits = 100"))


def test_sketches_of_near_vectors_share_most_bits_and_of_another_embedder_half() -> None:
    rng = np.random.default_rng(7)
    vector = rng.standard_normal(64).astype(np.float32)
    near = vector + 0.1 * rng.standard_normal(64).astype(np.float32)
    ours, theirs = SignBits((256,), 64, 1), SignBits((256,), 64, 2)

    def apart(one: bytes, other: bytes) -> int:
        return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()

    assert len(ours.sketch(vector)) == 32
    assert apart(ours.sketch(vector), ours.sketch(near)) < 20
    assert apart(ours.sketch(vector), ours.sketch(-vector)) == 256
    assert 96 < apart(ours.sketch(vector), theirs.sketch(vector)) < 160


def test_hash_is_stable_over_layout_and_process() -> None:
    """Pinned: a hash that moves by itself would throw away every learnt table."""
    spec = FeatureSpec.from_toml(TOML)
    comments = "# a comment\n" + TOML.replace("[20, 100]", "[ 20.0, 100 ]")
    assert spec.hash == FeatureSpec.from_toml(comments).hash == "e2f4b9a0939df7fc"
    assert msgspec.convert(msgspec.to_builtins(spec), FeatureSpec).hash == spec.hash


@pytest.mark.parametrize(
    "change",
    [
        ("[20, 100]", "[20, 101]"),
        ("digits = 1", "digits = 2"),
        ("version = 1", "version = 2"),
        ("text_bits = [4, 6]", "text_bits = [4, 8]"),
        ('[[], ["region"], ["latency"]]', '[[], ["latency"], ["region"]]'),
        ("own_tilings = 2", "own_tilings = 3"),
        ("own_tilings = 2", 'own_tilings = 2\ncodebook = "a"'),
        ("own_tilings = 2", "own_tilings = 2\nwords = 9"),
    ],
)
def test_hash_changes_with_anything_that_changes_a_key(change: tuple[str, str]) -> None:
    assert FeatureSpec.from_toml(TOML.replace(*change)).hash != FeatureSpec.from_toml(TOML).hash


def vector(seed: int, dimension: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)


def test_longer_code_refines_the_shorter_one() -> None:
    short, long = SignBits((4, 8), 64).codes(vector(1))
    assert (len(short), len(long)) == (4, 8)
    assert long.startswith(short)


def test_codes_are_the_same_in_every_process() -> None:
    """Pinned: the book is frozen by its seed; other codes would lead to cells of other texts."""
    wave = np.sin(np.arange(64)).astype(np.float32)
    assert SignBits((4, 8), 64).codes(wave) == ("0111", "01111011")
    assert SignBits((8,), 64, seed=1).codes(vector(1)) != SignBits((8,), 64, seed=2).codes(vector(1))


def test_codes_depend_on_direction_not_on_length() -> None:
    book = SignBits((8,), 64)
    assert book.codes(vector(2)) == book.codes(np.float32(7.5) * vector(2))


def test_similar_texts_share_most_bits_and_opposite_ones_none() -> None:
    """SimHash: the share of equal bits is 1 - angle / pi (Charikar 2002)."""
    book = SignBits((256,), 64)

    def shared(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.mean([x == y for x, y in zip(book.codes(a)[0], book.codes(b)[0], strict=True)]))

    one, other = vector(3), vector(4)
    near = (one + 0.3 * other).astype(np.float32)
    for a, b in ((one, near), (one, other), (one, -one)):
        angle = np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))
        assert shared(a, b) == pytest.approx(1 - angle / np.pi, abs=0.1)


def test_book_of_a_point_without_text_gives_no_codes() -> None:
    assert SignBits((), 64).codes(vector(1)) == ()


def test_text_is_coded_by_the_nearest_centroid_of_each_level() -> None:
    few, many = np.eye(4, dtype=np.float32)[:2], np.eye(4, dtype=np.float32)
    assert Centroids([few, many]).codes(np.array([0.1, 0.5, 0.2, 0.8], np.float32)) == ("2.1", "4.3")


def test_words_are_hashed_each_once_whatever_their_case_and_order() -> None:
    assert words_of("Disk FULL: the disk", 10) == words_of("full the disk", 10)
    assert len(words_of("one two three two", 10)) == 3
    assert words_of("one two three", 2) == words_of("two one", 10)


def test_words_and_codes_stand_beside_the_facts(featurizer: Featurizer) -> None:
    state = featurizer.state(FACTS, words=words_of("disk full", 10))
    assert state.words == words_of("full disk", 10)
    assert state.after("verdict", "HINT").words == state.words
