"""Which verdicts can be defended: masks are not preferences, they are what no draw may ever do.

An intervention needs evidence against the action. A REWRITE needs a fix that was run and worked; REWRITE and
BLOCK need a failure that happened under conditions like the present ones; BLOCK needs a failure of this very
command. As apprentice the fixed rule is the one to be judged, so only the first two bind it.
"""

from strategist import Eligible

from .evidence import GateEvidence, same_command
from .rule import BLOCK, HINT, PROCEED, REWRITE, VERDICTS, Thresholds


def with_evidence(evidence: GateEvidence) -> Eligible:
    """What there is any evidence for. Without a vector the answer abstains: nothing but PROCEED can be meant."""
    if evidence.vector is None or not (evidence.matches or evidence.own.failures):
        why = "memory cannot be searched" if evidence.vector is None else "no similar failure is remembered"
        return Eligible(actions=(PROCEED,), masked={HINT: why, REWRITE: why, BLOCK: why})
    allowed = Eligible(actions=VERDICTS)
    return allowed if evidence.suggestion else allowed.without(REWRITE, "no validated fix is known")


def defensible(evidence: GateEvidence) -> Eligible:
    """What the evidence is good enough for."""
    allowed = with_evidence(evidence)
    if not _holds_now(evidence):
        for strict in (REWRITE, BLOCK):
            allowed = allowed.without(strict, "no remembered failure happened under conditions like these")
    if not evidence.own.failures and not _very_command_failed(evidence):
        allowed = allowed.without(BLOCK, "no failure of this very command is remembered")
    return allowed


def _very_command_failed(evidence: GateEvidence) -> bool:
    return any(same_command(evidence.planned, match.record.episode.planned_action) for match in evidence.matches)


def _holds_now(evidence: GateEvidence) -> bool:
    """Whether what is remembered against the action happened under conditions like the present ones.

    The action's own record in these very conditions decides where there is one; a failure that recorded
    no conditions counts anywhere.
    """
    if evidence.own.total:
        return evidence.own.failures >= evidence.own.successes
    fit = Thresholds().block_precondition
    return any(match.precondition >= fit or not match.record.conditions for match in evidence.matches)
