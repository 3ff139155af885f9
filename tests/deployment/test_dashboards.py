"""Dashboard and alerts ask for metrics, labels and functions that exist, and say in which unit."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from controlplane.telemetry import Metrics

from .promql import asked

Panel = dict[str, Any]
SCRAPED = {"job", "instance"}  # labels that Prometheus adds
SCRAPE = {"up"}  # and a metric
ASKED_BY_PANELS = (
    "pointsman_decisions_total", "pointsman_decision_latency_seconds_bucket", "pointsman_rewards_sum",
    "pointsman_degraded_total", "pointsman_errors_total", "pointsman_snapshot_lag_seconds_bucket",
    "pointsman_lease_held", "pointsman_redis_away", "pointsman_budget_used_ratio",
)  # fmt: skip


@pytest.fixture(scope="module")
def board(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "deploy" / "grafana" / "pointsman.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def panels(board: dict[str, Any]) -> list[Panel]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def expressions(panels: list[Panel], root: Path) -> dict[str, str]:
    """What every panel and alert asks, by a name to find it by."""
    targets = {f"{panel['title']} {target['refId']}": target["expr"] for panel in panels for target in panel["targets"]}
    [group] = yaml.safe_load((root / "deploy" / "alerts.yml").read_text("utf-8"))["groups"]
    return targets | {rule["alert"]: rule["expr"] for rule in group["rules"]}


def series() -> dict[str, set[str]]:
    """Every series of a running server by its name in a query, with its labels."""
    metrics = Metrics()
    metrics.decision_latency.observe({"journal": 1.0})
    declared = {
        name: set(collector._labelnames)
        for collector, names in metrics.registry._collector_to_names.items()
        if hasattr(collector, "_labelnames")
        for name in names
    }
    known: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        labels = declared.get(family.name) or {label for sample in family.samples for label in sample.labels} - {"le"}
        known |= {name: labels | ({"le"} if name.endswith("_bucket") else set()) for name in _names(family)}
    return known


def _names(family: Metric) -> list[str]:
    match family.type:
        case "counter":
            return [f"{family.name}_total"]
        case "histogram":
            return [f"{family.name}_{part}" for part in ("bucket", "sum", "count")]
        case _:
            return [family.name]


def test_every_metric_that_is_asked_for_exists(expressions: dict[str, str]) -> None:
    known = series().keys() | SCRAPE
    missing = {
        (name, one.metric)
        for name, text in expressions.items()
        for one in asked(text).selectors
        if one.metric not in known
    }
    assert missing == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric(expressions: dict[str, str]) -> None:
    known = series() | {"up": set()}
    for name, text in expressions.items():
        found = asked(text)
        labels = {label for one in found.selectors for label in known.get(one.metric, {"le"})} | SCRAPED
        wrong = {
            label
            for one in found.selectors
            for label in one.labels
            if label not in known.get(one.metric, set()) | SCRAPED
        }
        assert (wrong, found.grouped_by - labels) == (set(), set()), name


def test_the_board_shows_what_it_is_for(panels: list[Panel]) -> None:
    shown = {one.metric for panel in panels for target in panel["targets"] for one in asked(target["expr"]).selectors}
    assert set(ASKED_BY_PANELS) - shown == set()


def test_every_panel_says_what_it_shows_and_in_which_unit(panels: list[Panel]) -> None:
    assert [
        panel["title"] for panel in panels if not panel["description"] or not panel["fieldConfig"]["defaults"]["unit"]
    ] == []
    seconds = [p for p in panels if any("_seconds_" in target["expr"] for target in p["targets"])]
    assert len(seconds) > 4
    assert {panel["fieldConfig"]["defaults"]["unit"] for panel in seconds} == {"s"}


def test_every_panel_asks_the_source_that_is_provisioned(
    board: dict[str, Any], panels: list[Panel], root: Path
) -> None:
    [source] = yaml.safe_load((root / "deploy" / "grafana" / "datasource.yml").read_text("utf-8"))["datasources"]
    variables = [variable["datasource"] for variable in board["templating"]["list"]]
    used = [one["datasource"] for panel in panels for one in (panel, *panel["targets"])] + variables
    assert {(one["type"], one["uid"]) for one in used} == {(source["type"], source["uid"])}


def test_panels_have_their_own_place_and_name(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    for field in ("id", "title"):
        names = [panel[field] for panel in board["panels"]]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "wrong", ["sum(rate(x[5m])", "speed(x[5m])", "x{a}", "rate(x[5 m])", "x > ?", 'x{a="b}', "sum by (a (x))"]
)
def test_what_is_no_query_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        asked(wrong)
