"""Conditions: how far past ones fit the present, as a map or as a list."""

import tracemalloc

import pytest

from controlplane.contract.wire import listed
from controlplane.memory.preconditions import COMPARED, UNKNOWN, Present


@pytest.mark.parametrize(
    ("past", "present", "fit"),
    [
        ({}, {"os": "linux"}, UNKNOWN),
        ({"tool": "kubectl"}, {}, UNKNOWN),
        ({"tool": "kubectl"}, {"tool": "kubectl"}, 1.0),
        ({"Tool": "Kubectl"}, {"tool": "kubectl "}, 1.0),
        ({"tool": "kubectl"}, {"tool": "helm"}, 0.0),
        ({"n": 3}, {"n": "3"}, 1.0),
        ({"region": "us west"}, {"region": "us east"}, 0.5 / 3),
        ({"python": "3.11"}, {"python": "3.11.4"}, 2 / 3),
        ({"python": "3.11"}, {"python": 3.11}, 1.0),
        ({"python": "3.11.4"}, {"python": "3.12.1"}, 1 / 3),
        ({"python": "2.7"}, {"python": "3.11"}, 0.0),
        ({"tool": "kubectl", "os": "linux"}, {"tool": "kubectl"}, 0.75),
    ],
)
def test_conditions_fit_as_far_as_they_agree(past: dict[str, object], present: dict[str, object], fit: float) -> None:
    assert Present(present).fit(past) == pytest.approx(fit)


def test_what_is_long_or_many_is_compared_in_bounded_time_and_room() -> None:
    long = [" ".join(f"{n}.{word}" for word in range(20_000)) for n in range(50)]
    many: dict[str, object] = {f"key{n}": "v" for n in range(200_000)}
    looked_at = Present({"a": long[0], "nested": {"b": 1}} | many)
    assert looked_at.fit({"a": long[0], "nested": {"b": 1}}) == 1.0
    assert looked_at.fit({"nested": {"b": 2}}) == 0.0
    tracemalloc.start()
    try:
        fits = [Present({"a": text}).fit({"a": other}) for text, other in zip(long, reversed(long), strict=True)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(fits) < 0.5
    assert kept < 2**21, "of texts of megabytes"
    beyond = {f"{n}": n for n in range(COMPARED)} | {"tool": "kubectl"}
    assert Present({"tool": "kubectl"}).fit(beyond) == UNKNOWN


def test_a_list_is_the_same_conditions_as_the_map_it_spells_out() -> None:
    told = listed(["tool=kubectl", "OS: Linux", "python3 installed", "url=https://a/?b=c", " spaced = x ", "time 10"])
    assert told == {
        "tool": "kubectl",
        "OS": "Linux",
        "python3 installed": True,
        "url": "https://a/?b=c",
        "spaced": "x",
        "time 10": True,
    }
    assert Present({"os": "linux", "tool": "KUBECTL"}).fit(listed(["tool=kubectl", "OS: Linux"])) == 1.0


@pytest.mark.parametrize(
    ("past", "present", "fit"),
    [
        (["python3 installed"], {"python3": "installed"}, 1.0),
        (["python3 installed"], {"python3": "3.11"}, 0.75),
        ({"tool": "kubectl"}, ["kubectl"], 1.0),
        (["kubectl"], {"tool": "kubectl"}, 1.0),
        ({"tool": "kubectl"}, ["helm"], UNKNOWN),
        ({"replicas": "3"}, {"cpu": "3"}, UNKNOWN),
    ],
)
def test_bare_facts_meet_maps_with_partial_credit(past: object, present: object, fit: float) -> None:
    one, other = (listed(side) if isinstance(side, list) else side for side in (past, present))
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert Present(other).fit(one) == pytest.approx(fit)
