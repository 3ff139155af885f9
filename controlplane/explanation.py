"""A decision in sentences, for whoever asks why."""

from typing import Any

import msgspec

from auditor import Trace
from auditor.answers import AWAITED
from auditor.comparison import Beside
from auditor.events import AnyEvent
from auditor.policy_events import AppealRuled
from auditor.trace import ASKED_TIERS, Offered
from auditor.wording import OF_THE_TASK
from strategist import HeadChoice

from .executor.rule import BLOCK
from .learning import WholeTrace

SHOWN = 3  # memories and conditions that are named
FELT = 0.05  # log odds under which a condition is not worth naming


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences, in the order of the loop."""

    trace_id: str
    sentences: list[str]


def explain_trace(whole: WholeTrace) -> Why:
    """What was asked, known, masked, worth, drawn, done, reported and learnt."""
    trace = whole.trace
    what = "a failure that is new" if trace.point == "capture" else "a candidate"
    asked = trace.request.get("planned_action") or trace.request.get("goal") or what
    sentences = [f"Asked at {trace.point}: {str(asked)[:200]!r}."]
    sentences += _known(whole) if trace.point == "gate" else []
    for head in trace.heads:
        sentences += _chose(head)
    sentences += [_rule(trace)] if trace.rule is not None else []
    sentences += [f"The challenger of event {trace.acted} acted."] if trace.acted else []
    sentences += [_another(trace.beside)] if trace.beside is not None else []
    sentences += [f"Answered without {part}." for part in trace.degraded]
    sentences.append(
        f"Policy version {trace.policy_version}, feature spec {trace.spec_hash}, settings {trace.settings_hash}."
    )
    if (act := whole.set_by) is not None:
        sentences.append(f"The policy was as set by event {trace.steered} (key {act.by or 'none'}): {act.why!r}.")
    return Why(trace_id=trace.trace_id, sentences=sentences + _afterwards(whole))


def _known(whole: WholeTrace) -> list[str]:
    """The risk taken apart, and the memories it rests on."""
    done, facts = whole.trace.execution, whole.trace.facts
    if whole.trace.abstained:
        return [str(done.get("reason"))]
    cases = f"{facts.get('case_failures')} of {facts.get('case_count')}"
    known = (
        f"Known: {done.get('evidence')} outcome(s), risk {done.get('risk'):.2f}, novelty {done.get('novelty'):.2f}; "
        f"this very action failed {cases} times."
    )
    neighbours = (done.get("neighbours") or [])[:SHOWN]
    word = [done["word"]] if done.get("word") else []
    memories = [_memory(whole, near) for near in neighbours]
    return [known, *_speaking(done.get("speaking") or {}), *word, *memories, *map(_drawn, whole.trace.offered)]


def _drawn(item: Offered) -> str:
    """What was drawn of one memory, before anything else was."""
    what = "withheld, as if it were not remembered" if item.withheld else "offered"
    return f"Episode {item.episode_id} was {what} (probability of withholding it {item.probability:.2f})."


def _speaking(speaking: dict[str, float]) -> list[str]:
    """Which conditions made failing likelier or less likely, the strongest first."""
    felt = [(c, odds) for c, odds in speaking.items() if c and abs(odds) >= FELT]
    felt.sort(key=lambda item: -abs(item[1]))
    said = ", ".join(f"{condition.removeprefix(OF_THE_TASK)} {odds:+.2f}" for condition, odds in felt[:SHOWN])
    return [f"Conditions that speak for failing (+) or against it (-), in log odds: {said}."] if said else []


def _memory(whole: WholeTrace, near: dict[str, Any]) -> str:
    """One similar failure: what failed, how well its conditions fit, and what mended it."""
    where = (
        f"Episode {near['episode_id']} (similarity {near['similarity']:.2f}, conditions fit {near['precondition']:.2f})"
    )
    record = whole.remembered.get(near["episode_id"])
    if record is None:
        return f"{where} was deleted since."
    failed = record.episode.planned_action or record.episode.goal
    mended = f"; noted as the fix: {record.episode.resolution[:200]!r}" if record.episode.resolution else ""
    return f"{where}: {failed[:200]!r} failed ({record.fault}){mended}."


def _chose(head: HeadChoice) -> list[str]:
    worth = ", ".join(
        f"{action} {value:+.3f} (drawn with probability {probability:.3f})"
        for action, value, probability in zip(head.actions, head.q_values, head.probabilities, strict=True)
    )
    how = {
        "explore": "by exploration",
        "exploit": "as the best known" if head.cell else _untried(head),
        "only": "as the only one eligible",
        "rule": "because the fixed rule acts here",
        "audit": "in the place of a BLOCK, to see whether that would have been right",
    }[head.exploration]
    cell = (
        f"the finest cell that knows it is {head.cell} with {head.visits} visit(s)"
        if head.cell
        else "no cell knows it yet"
    )
    masked = "; ".join(f"{action}: {why}" for action, why in sorted(head.masked.items()))
    lines = [f"{head.head}: {worth}.", f"Took {head.action} {how}; {cell}."]
    if (move := head.move) is not None:
        lines.append(f"Of {move.source}'s probability {move.moved:.3f} went to {move.target}, to be audited.")
    return [*lines, f"Masked: {masked}."] if masked else lines


def _untried(head: HeadChoice) -> str:
    return "by the fixed rule's head start" if head.rule == head.action else "as nothing better is known"


def _appeal(event: AnyEvent) -> str:
    """An appeal, or the ruling on it."""
    if isinstance(event, AppealRuled):
        return f"The appeal was {'upheld' if event.upheld else 'rejected'}: {event.why!r}."
    return f"Contested: {getattr(event, 'reason', '')!r}."


def _another(beside: Beside) -> str:
    """What who did not act would have done."""
    return f"The {beside.who}, had it acted, would have taken {beside.action}."


def _rule(trace: Trace) -> str:
    """What the fixed rule would have done, and by which figures."""
    same = "agrees" if trace.rule == trace.action else f"would have said {trace.rule}"
    return f"The fixed rule {same} ({_seen(trace)})."


def _seen(trace: Trace) -> str:
    facts = trace.facts
    if trace.point == "capture":
        return f"severity {facts.get('severity')}"
    if (similarity := facts.get("similarity")) is None:
        return "no similar failure"
    return f"nearest failure {similarity:.2f}, its conditions fit {facts.get('precondition'):.2f}"


def _reflection(whole: WholeTrace) -> list[str]:
    """What came of a reflection that the decision had made."""
    if whole.trace.point != "capture" and whole.trace.tier not in ASKED_TIERS:
        return []
    made = whole.reflection
    return ["There is no reflection." if made is None else f"Reflection {made.reflection_id} is there ({made.tier})."]


def _reports(whole: WholeTrace) -> list[str]:
    if whole.trace.point == "capture":
        return []
    none = "An obeyed BLOCK needs no report." if whole.trace.action == BLOCK else "No report has come in yet."
    return [f"{len(whole.feedback)} report(s) came in." if whole.feedback else none]


def _afterwards(whole: WholeTrace) -> list[str]:
    lines = _reflection(whole) + _reports(whole)
    lines += [_appeal(event) for event in whole.appeal]
    if whole.pending:
        lines.append(f"Not learnt yet: it waits for {AWAITED[whole.pending]}.")
    if (learned := whole.learned) is not None:
        if learned.report is not None:
            lines.append(learned.report.explanation)
        if learned.update is not None:
            u = learned.update
            lines.append(f"Learnt: value {u.q_before:+.3f} moved towards {u.target:+.3f} (TD error {u.td_error:+.3f}).")
        elif learned.reason:
            lines.append(f"Not learnt: {learned.reason}.")
    return lines
