"""Which verdicts can be defended: masks are not preferences, they are what no draw may ever do.

An intervention needs evidence against the action (a HINT at least in its words), a REWRITE a fix that was run and
worked. REWRITE and BLOCK take the plan out of the agent's hands: it must be twice as likely to fail as to work, and
BLOCK needs a failure of this very command and something to do instead: who is denied the only command there is can
neither go on nor ever show that it works by now. As apprentice the fixed rule is the one to be judged, so only the
first two bind it.
"""

from strategist import Eligible

from .evidence import GateEvidence, same_command
from .rule import BLOCK, HINT, REWRITE, VERDICTS

TAKEN_OVER = 2 / 3  # risk from which on the plan may be taken out of the agent's hands

FITS = 0.7  # fit of a skill's conditions


def with_evidence(evidence: GateEvidence) -> Eligible:
    """What there is any evidence for. Without a vector the answer abstains: nothing but PROCEED can be meant."""
    why = "memory cannot be searched" if evidence.vector is None else "no similar failure is remembered"
    allowed = Eligible(actions=VERDICTS)
    if evidence.vector is None or not (evidence.against or evidence.own.failures):
        allowed = allowed.without(REWRITE, why).without(BLOCK, why)
        return allowed if evidence.by_words else allowed.without(HINT, why)
    if evidence.suggestion:
        return allowed
    unlikely = evidence.fixes and evidence.fixes[0].proven
    return allowed.without(REWRITE, f"no validated fix is {'likely to work here' if unlikely else 'known'}")


def defensible(evidence: GateEvidence) -> Eligible:
    """What the evidence is good enough for."""
    allowed = with_evidence(evidence)
    if evidence.said.risk < TAKEN_OVER:
        why = f"risk {evidence.said.risk:.2f} is below {TAKEN_OVER:.2f}: the plan stays the agent's"
        allowed = (
            allowed.without(BLOCK, why) if _skill_fits(evidence) else allowed.without(REWRITE, why).without(BLOCK, why)
        )
    if not evidence.own.failures and not _very_command_failed(evidence):
        return allowed.without(BLOCK, "no failure of this very command is remembered")
    return allowed if evidence.quoted else allowed.without(BLOCK, "nothing is known to do instead")


def _skill_fits(evidence: GateEvidence) -> bool:
    """Whether a skill mends this very command where nothing contradicts it, and the command never worked."""
    mending = (m for m in evidence.skills if same_command(evidence.planned, m.record.episode.planned_action))
    return not evidence.own.successes and any(m.precondition >= FITS or not m.record.conditions for m in mending)


def _very_command_failed(evidence: GateEvidence) -> bool:
    return any(same_command(evidence.planned, match.record.episode.planned_action) for match in evidence.against)
