"""The curve that routing gives: accuracy against cost, beside the line that a coin between the two models draws."""

from typing import Any

LEFT, BOTTOM, WIDTH, HEIGHT = 50, 300, 400, 270  # of the frame, in pixels
MOST_USD, LEAST, MOST = 3.0, 0.66, 0.84  # what the axes end at: USD for 1,000 questions, accuracy


def drawing(found: dict[str, Any]) -> str:
    """An SVG of the figures: a dot for each weight, with its interval, and a line between the two fixed choices."""
    ends = [(point["usd"], point["accuracy"]) for point in found["always"].values()]
    (x1, y1), (x2, y2) = (_place(*end) for end in ends)
    fixed = "".join(_labelled(*end, f"always {name}", "#777") for end, name in zip(ends, found["always"], strict=True))
    dots = "".join(_routed(weight, of) for weight, of in found["routed"].items())
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 345" font-family="sans-serif" font-size="11" fill="#333">
<rect width="480" height="345" fill="#fff"/>
<rect x="{LEFT}" y="{BOTTOM - HEIGHT}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>
{_ticks()}<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#999" stroke-dasharray="4 3"/>
{fixed}{dots}<text x="250" y="335" text-anchor="middle">USD for 1,000 questions</text>
<text x="12" y="165" text-anchor="middle" transform="rotate(-90 12 165)">answered right</text>
</svg>
"""


def _place(usd: float, accuracy: float) -> tuple[float, float]:
    return LEFT + WIDTH * usd / MOST_USD, BOTTOM - HEIGHT * (accuracy - LEAST) / (MOST - LEAST)


def _routed(weight: str, of: dict[str, Any]) -> str:
    """A dot at what routing came to, and how sure it is that it lies above the coin's line."""
    usd, accuracy, more = of["usd"][0], of["accuracy"][0], of["above"]
    x, high = _place(usd, accuracy - more + of["interval"][1])
    _, low = _place(usd, accuracy - more + of["interval"][0])
    bar = f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="#2a6f97"/>\n'
    return bar + _labelled(usd, accuracy, f"spent weighs {weight}", "#2a6f97")


def _labelled(usd: float, accuracy: float, text: str, colour: str) -> str:
    x, y = _place(usd, accuracy)
    told = f"{accuracy:.4f} at {usd:.3f} USD"
    side = ("end", -8) if usd > MOST_USD / 2 else ("start", 8)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"><title>{told}</title></circle>\n'
        f'<text x="{x + side[1]:.1f}" y="{y - 6:.1f}" text-anchor="{side[0]}">{text}</text>\n'
    )


def _ticks() -> str:
    across = [(_place(usd, LEAST)[0], BOTTOM + 16, "middle", f"{usd:g}") for usd in (0, 1, 2, 3)]
    up = [(LEFT - 6, _place(0, part)[1] + 4, "end", f"{part:.2f}") for part in (0.68, 0.72, 0.76, 0.80, 0.84)]
    return "".join(
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{side}">{text}</text>\n' for x, y, side, text in across + up
    )
