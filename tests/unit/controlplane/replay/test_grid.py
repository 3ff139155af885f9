"""A grid of weights from its file to the drawing of its front."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from controlplane.errors import UnusableLog, UnusablePolicy
from controlplane.replay.drawing import drawing
from controlplane.replay.grid import front, read_grid
from controlplane.replay.log import Log
from strategist.evaluation import Front, Target
from strategist.evaluation.front import Point

SVG = "{http://www.w3.org/2000/svg}"


def test_all_combinations_are_tried(tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text("[weights]\nsuccess = [0.5, 1.0]\ncost = [0.0, 0.3]\n")
    assert read_grid(tmp_path / "grid.toml") == [
        {"cost": 0.0, "success": 0.5},
        {"cost": 0.0, "success": 1.0},
        {"cost": 0.3, "success": 0.5},
        {"cost": 0.3, "success": 1.0},
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("g.toml", "[weights]\nsuccess = [1.0]\n", "holds 1 combination(s) of weights; give 2 to 200"),
        ("g.json", '{"weights": {"a": [1, 2], "b": []}}', "holds 0 combination(s)"),
        ("g.json", f'{{"weights": {{"a": {[1] * 201}}}}}', "holds 201 combination(s)"),
        (
            "g.json",
            f'{{"weights": {{"a": {[1] * 9999}, "b": {[1] * 9999}, "c": {[1] * 9999}}}}}',
            "999700029999",
        ),
        ("g.toml", "[weights]\ncost = [1.0, inf]\n", "is no grid of weights"),
        ("g.toml", "[weight]\n", "is no grid of weights"),
        ("g.json", "{", "g.json is no JSON: "),
        ("g.toml", "[weights\n", "g.toml is no TOML: "),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UnusablePolicy) as refused:
        read_grid(tmp_path / name)
    assert said in str(refused.value)


def test_a_grid_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusablePolicy, match=r"none\.toml cannot be read"):
        read_grid(tmp_path / "none.toml")


def test_a_log_that_is_too_short_is_refused() -> None:
    with pytest.raises(UnusableLog, match="a grid needs 50"):
        front(Log(decisions=[]), Target(), [{"success": 1.0}], lambda done, of: None)


def told(*points: tuple[float, float, float, bool, bool]) -> Front:
    return Front(
        decisions=1,
        compared_on=1,
        reported_on=1,
        objectives=["success", "cost_usd", "latency_ms"],
        points=[
            Point(
                number=number,
                weights={"a<b": s},
                in_force=in_force,
                on_front=on_front,
                compared={"success": s, "cost_usd": c, "latency_ms": ms},
            )
            for number, (s, c, ms, on_front, in_force) in enumerate(points, 1)
        ],
    )


def test_the_drawing_shows_every_point_where_it_lies() -> None:
    drawn = ElementTree.fromstring(
        drawing(told((0.9, 0.5, 10.0, True, False), (0.5, 0.1, 30.0, True, True), (0.5, 0.5, 20.0, False, False)))
    )
    good, cheap, beaten = drawn.findall(f"{SVG}circle")
    assert (good.get("cx"), good.get("cy"), good.get("r")) == ("650.0", "70.0", "4.0")
    assert (cheap.get("cx"), cheap.get("cy"), cheap.get("r")) == ("70.0", "410.0", "12.0")
    assert [point.get("fill") for point in (good, cheap, beaten)] == ["#1668b8", "#1668b8", "#bbb"]
    assert [point.get("stroke") for point in (good, cheap, beaten)] == ["white", "#c22", "white"]
    assert good.findtext(f"{SVG}title") == "a<b 0.9"
    texts = [text.text or "" for text in drawn.findall(f"{SVG}text")]
    assert texts[-1] == "success over cost_usd, size: latency_ms; blue: on the front, red ring: in force"
    assert {"0.1", "0.5", "0.9"} <= set(texts)
    assert [text for text in texts if text.isdigit()] == ["1", "2", "3"], "each point has its number beside it"


def test_a_single_point_is_drawn_too() -> None:
    [circle] = ElementTree.fromstring(drawing(told((0.5, 0.5, 0.5, True, True)))).findall(f"{SVG}circle")
    assert circle.get("cx") == "70.0"
