"""A front of policies as SVG: the first two objectives as a plane, a third as the size of a point."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from strategist.evaluation import Front
from strategist.evaluation.front import Point

WIDE, HIGH, EDGE, TICKS = 720, 480, 70, 5
FONT = 'font-family="sans-serif" font-size="12"'
ON_FRONT, BEATEN, IN_FORCE, OTHER = "#1668b8", "#bbb", "#c22", "white"


class _Axis:
    """Where values lie between the least and the most of them, from `begin` to `end` of the drawing."""

    def __init__(self, name: str, points: list[Point], begin: float, end: float) -> None:
        values = [point.compared[name] for point in points]
        self.name, self._begin, self._end = name, begin, end
        self._low, self._high = min(values, default=0.0), max(values, default=1.0)

    def place(self, point: Point) -> float:
        return self.at((point.compared[self.name] - self._low) / (self._high - self._low or 1.0))

    def at(self, share: float) -> float:
        return self._begin + share * (self._end - self._begin)

    def label(self, share: float) -> str:
        return f"{self._low + share * (self._high - self._low):.3g}"


def drawing(found: Front) -> str:
    """Equal fronts give equal drawings."""
    names = found.objectives
    told = [point for point in found.points if point.compared.keys() == set(names)]
    across = _Axis(names[1 % len(names)], told, EDGE, WIDE - EDGE)
    up = _Axis(names[0], told, HIGH - EDGE, EDGE)
    size = _Axis(names[2], told, 4.0, 12.0) if len(names) > 2 else None
    legend = f"{up.name} over {across.name}{f', size: {size.name}' if size else ''}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" {FONT}>',
            f'<rect width="{WIDE}" height="{HIGH}" fill="white"/>',
            *_grid(across, up),
            *(_point(point, across, up, size) for point in told),
            f'<text x="{WIDE // 2}" y="{HIGH - 14}" text-anchor="middle">'
            f"{escape(legend)}; blue: on the front, red ring: in force</text>",
            "</svg>",
            "",
        )
    )


def _grid(across: _Axis, up: _Axis) -> Iterator[str]:
    for tick in range(TICKS):
        share = tick / (TICKS - 1)
        x, y = across.at(share), up.at(share)
        yield f'<path d="M{x:.1f} {EDGE}V{HIGH - EDGE}M{EDGE} {y:.1f}H{WIDE - EDGE}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{HIGH - EDGE + 22}" text-anchor="middle">{across.label(share)}</text>'
        yield f'<text x="{EDGE - 10}" y="{y + 4:.1f}" text-anchor="end">{up.label(share)}</text>'


def _point(point: Point, across: _Axis, up: _Axis, size: _Axis | None) -> str:
    x, y, radius = across.place(point), up.place(point), 7.0 if size is None else size.place(point)
    fill, ring = ON_FRONT if point.on_front else BEATEN, IN_FORCE if point.in_force else OTHER
    said = ", ".join(f"{name} {weight:g}" for name, weight in sorted(point.weights.items()))
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" '
        f'stroke="{ring}" stroke-width="3"><title>{escape(said)}</title></circle>'
        f'<text x="{x + radius + 4:.1f}" y="{y - radius:.1f}">{point.number}</text>'
    )
