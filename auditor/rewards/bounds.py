"""Between which values a point's reward lies, whatever is reported."""

BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "route": {
        "latency": (-1.0, 1.0),
        "cost": (-1.0, 1.0),
        "slo": (-0.5, 1.0),
        "failures": (-1.0, 1.0),
        "success": (-1.0, 1.0),
    },
    "chat": {
        "success": (-1.0, 1.0),
        "unanswered": (-1.0, 0.0),
        "spent": (-1.0, 0.0),
        "waited": (-1.0, 0.0),
    },
    "gate": {
        "outcome": (-1.0, 1.0),
        "failure": (-1.0, 0.0),
        "friction": (-0.15, 0.0),
        "false_block": (-0.5, 0.0),
        "cost": (-1.0, 0.0),
    },
    "capture": {"uses": (-1.0, 1.0), "cost": (-1.0, 0.0)},
}
CUSTOM = (-1.0, 1.0)


def bounds(point: str, weights: dict[str, float]) -> tuple[float, float]:
    """(lowest, highest) reward under these weights; a term that is missing counts 0.

    >>> bounds("gate", {"outcome": 1.0, "friction": 1.0, "cost": 0.0})
    (-1.15, 1.0)
    """
    lowest = highest = 0.0
    for term, weight in sorted(weights.items()):  # in one order, or a sum would depend on where they were read from
        ends = [weight * end for end in BOUNDS[point].get(term, CUSTOM)]
        lowest, highest = lowest + min(0.0, *ends), highest + max(0.0, *ends)
    return lowest, highest
