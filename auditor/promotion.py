"""When a fix becomes a skill, and when it stops being one."""

from .rules import PromotionRules
from .skills import Skill, Skills


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
