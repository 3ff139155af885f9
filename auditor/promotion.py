"""When a fix becomes a skill, and when it stops being one."""

from typing import Literal

from .changes import Change
from .rules import PromotionRules
from .skills import Skill, Skills, SkillStatus


def review(skills: Skills, episode_id: int, seq: int, rules: PromotionRules) -> Skill | None:
    """The episode's skill after its latest validation, if it has one.

    Enough validations at the required rate put it on trial; a rate that falls below retires it, and
    one that recovers puts it back, unless an operator retired it.
    """
    record = skills.of(episode_id)
    holds = record.total >= rules.validations and record.success_rate >= rules.success_rate
    skill = skills.by_episode.get(episode_id)
    if skill is None:
        if not holds:
            return None
        skill = skills.by_episode[episode_id] = Skill(skill_id=seq, episode_id=episode_id)
    elif not skill.retired_by_operator:
        skill.status = "trial" if holds else "retired"
    return skill


def retire(skills: Skills, skill_id: int) -> tuple[Change, ...]:
    """Have an operator's word hold, whatever is validated later; what that changed."""
    if (skill := skills.by_id(skill_id)) is None:
        return ()
    before, skill.status, skill.retired_by_operator = skill.status, "retired", True
    return changed(before, skill)


def standing(skills: Skills, episode_id: int) -> SkillStatus | None:
    """What the episode's skill is, if it has one."""
    skill = skills.by_episode.get(episode_id)
    return None if skill is None else skill.status


def changed(before: SkillStatus | None, skill: Skill | None) -> tuple[Change, ...]:
    """What became of a skill that was this before."""
    if skill is None or skill.status == before:
        return ()
    kind: Literal["promoted", "demoted"] = "demoted" if skill.status == "retired" else "promoted"
    return (Change(kind=kind, name=str(skill.skill_id), episode_id=skill.episode_id),)
