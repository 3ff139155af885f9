"""When a fix becomes a skill, what it is worth after that, and when it stops being one."""

from .rules import PromotionRules
from .skills import Skill, Skills, SkillStatus
from .worth import Standing, Worth


def review(skills: Skills, worth: Worth, episode_id: int, seq: int, at: float, rules: PromotionRules) -> Skill | None:
    """The episode's skill after what was learnt of it last, if it has one; a change is kept with its reason.

    Enough validations at the required rate put it on trial. Once the interval of its uplift excludes 0, that decides;
    before, a rate that falls below retires it, and one that recovers puts it back. What an operator retired stays.
    """
    record = skills.of(episode_id)
    holds = record.total >= rules.validations and record.success_rate >= rules.success_rate
    skill = skills.by_episode.get(episode_id)
    if skill is None:
        if not holds:
            return None
        skill = skills.by_episode[episode_id] = Skill(skill_id=seq, episode_id=episode_id, status="none")
    if not skill.retired_by_operator:
        standing = worth.standing(episode_id)
        why = f"{record.successes} of {record.total} validations worked; its uplift: {standing.spoken}"
        skills.note(skill.become(_earned(standing, holds=holds), seq, at, why))
    return skill


def _earned(standing: Standing, *, holds: bool) -> SkillStatus:
    if standing.status == "harms":
        return "retired"
    if standing.status == "helps":
        return "promoted"
    return "trial" if holds else "retired"
