"""From reports to one reward per decision, with every term's value, weight and reason."""

from typing import Literal

import msgspec

from .terms import TERMS, Scene, Term, clip

JoinRule = Literal["last", "first", "mean", "min", "max", "together"]  # the last: parts of one report


class Report(msgspec.Struct, frozen=True):
    """A decision's reward: the scalar, the terms it is made of, and the terms nobody reported."""

    total: float
    terms: tuple[Term, ...]
    missing: tuple[str, ...]

    @property
    def explanation(self) -> str:
        """One sentence, the strongest reasons first."""
        felt = sorted((t for t in self.terms if t.weight * t.value), key=lambda t: -abs(t.weight * t.value))
        reasons = "; ".join(f"{t.sentence} ({t.weight * t.value:+.3g})" for t in felt)
        return f"Reward {self.total:.4g}: {reasons or 'nothing was reported that counts'}."


def score(point: str, scene: Scene, weights: dict[str, float]) -> Report:
    """Weigh every term of the point; a missing term is 0 and its weight goes to nobody."""
    terms, missing = [], []
    for name, judge in TERMS[point].items():
        judged = judge(scene)
        if judged is None:
            missing.append(name)
        else:
            terms.append(Term(name, judged[0], weights.get(name, 0.0), judged[1]))
    for name in sorted(scene.outcome.custom):
        value, weight = clip(scene.outcome.custom[name]), weights.get(f"custom.{name}", 0.0)
        terms.append(Term(f"custom.{name}", value, weight, f"the caller's own {name}"))
    missing += sorted(name for name in weights if name.startswith("custom.") and name[7:] not in scene.outcome.custom)
    return Report(sum(t.weight * t.value for t in terms), tuple(terms), tuple(missing))


def default_report(point: str) -> Report:
    """The reward of a decision nobody reported on: 0, everything missing."""
    return Report(0.0, (), tuple(TERMS[point]))


def join(reports: list[Report], rule: JoinRule) -> Report:
    """One report of several; `mean` averages the totals and lists the last report's terms."""
    match rule:
        case "last" | "together":
            return reports[-1]
        case "first":
            return reports[0]
        case "min":
            return min(reports, key=lambda report: report.total)
        case "max":
            return max(reports, key=lambda report: report.total)
        case "mean":
            return Report(sum(r.total for r in reports) / len(reports), reports[-1].terms, reports[-1].missing)
