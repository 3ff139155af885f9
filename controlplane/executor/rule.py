"""The gate's fixed rule: the one to beat (from the Vritti system), and the prior of the learned gate."""

from typing import Self

import msgspec

from ..settings import Settings

PROCEED, HINT, REWRITE, BLOCK = VERDICTS = ("PROCEED", "HINT", "REWRITE", "BLOCK")  # lax to strict


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Similarities and precondition fits at which the rule steps in."""

    skill: float
    block: float
    block_precondition: float
    rewrite: float
    rewrite_precondition: float
    hint: float

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """What the operator set."""
        return cls(**{name: getattr(settings, f"rule_{name}") for name in cls.__struct_fields__})


def verdict(
    similarity: float, precondition: float, skill_similarity: float, *, suggestion: bool, at: Thresholds
) -> str:
    """What the rule does about the nearest failure and the nearest skill.

    >>> verdict(0.93, 0.8, 0.0, suggestion=True, at=Thresholds.of(Settings()))
    'BLOCK'
    """
    if skill_similarity >= at.skill:
        return REWRITE
    if similarity >= at.block and precondition >= at.block_precondition:
        return BLOCK
    if similarity >= at.rewrite and precondition >= at.rewrite_precondition and suggestion:
        return REWRITE
    return HINT if similarity >= at.hint else PROCEED
