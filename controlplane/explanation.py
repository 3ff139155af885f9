"""A decision in sentences, for whoever asks why."""

import msgspec

from strategist import HeadChoice

from .learning import WholeTrace


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences, in the order of the loop."""

    trace_id: str
    sentences: list[str]


def explain_trace(whole: WholeTrace) -> Why:
    """What was asked, known, masked, worth, drawn, done, reported and learnt."""
    trace = whole.trace
    asked = trace.request.get("planned_action") or trace.request.get("goal") or "a candidate"
    sentences = [f"Asked at {trace.point}: {str(asked)[:200]!r}."]
    sentences += [_known(whole)] if trace.point == "gate" else []
    for head in trace.heads:
        sentences += _chose(head)
    if trace.rule is not None:
        same = "agrees" if trace.rule == trace.action else f"would have said {trace.rule}"
        sentences.append(f"The fixed rule {same}.")
    sentences += [f"Answered without {part}." for part in trace.degraded]
    sentences.append(
        f"Policy version {trace.policy_version}, feature spec {trace.spec_hash}, settings {trace.settings_hash}."
    )
    return Why(trace_id=trace.trace_id, sentences=sentences + _afterwards(whole))


def _known(whole: WholeTrace) -> str:
    done = whole.trace.execution
    if whole.trace.abstained:
        return str(done.get("reason"))
    neighbours = done.get("neighbours") or []
    nearest = ", ".join(f"episode {n['episode_id']} ({n['similarity']:.2f})" for n in neighbours[:3])
    cases = f"{whole.trace.facts.get('case_failures')} of {whole.trace.facts.get('case_count')}"
    return (
        f"Known: {done.get('evidence')} outcome(s), risk {done.get('risk'):.2f}, novelty {done.get('novelty'):.2f}; "
        f"similar failures: {nearest or 'none'}; this very action failed {cases} times."
    )


def _chose(head: HeadChoice) -> list[str]:
    worth = ", ".join(
        f"{action} {value:+.3f} (drawn with probability {probability:.3f})"
        for action, value, probability in zip(head.actions, head.q_values, head.probabilities, strict=True)
    )
    how = {
        "explore": "by exploration",
        "exploit": "as the best known",
        "only": "as the only one eligible",
        "rule": "because the fixed rule acts here",
    }[head.exploration]
    masked = "; ".join(f"{action}: {why}" for action, why in sorted(head.masked.items()))
    lines = [f"{head.head}: {worth}.", f"Took {head.action} {how}; its finest cell has {head.visits} visit(s)."]
    return [*lines, f"Masked: {masked}."] if masked else lines


def _afterwards(whole: WholeTrace) -> list[str]:
    lines = [f"{len(whole.feedback)} report(s) came in."] if whole.feedback else ["No report has come in yet."]
    if whole.pending:
        waits = "the task's next decision" if whole.pending == "next_decision" else "a complete report"
        lines.append(f"Not learnt yet: it waits for {waits}.")
    if (learned := whole.learned) is not None:
        if learned.report is not None:
            lines.append(learned.report.explanation)
        if learned.update is not None:
            u = learned.update
            lines.append(f"Learnt: value {u.q_before:+.3f} moved towards {u.target:+.3f} (TD error {u.td_error:+.3f}).")
        elif learned.reason:
            lines.append(f"Not learnt: {learned.reason}.")
    return lines
