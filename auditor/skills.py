"""Validations per episode, and the skills they earn."""

from typing import Literal

import msgspec

from .changes import Change

SkillStatus = Literal["none", "trial", "promoted", "retired"]
ENOUGH = 2  # keys
KEPT = 50  # changes of a skill, the newest


class SkillChange(msgspec.Struct, frozen=True):
    """A step of a skill's life, by the event that caused it."""

    seq: int
    at: float
    before: SkillStatus  # `none` when it became one
    after: SkillStatus
    why: str


class Skill(msgspec.Struct):
    """A fix that proved itself. `skill_id` is the sequence number of the validation that earned it."""

    skill_id: int
    episode_id: int
    status: SkillStatus = "trial"
    retired_by_operator: bool = False
    history: list[SkillChange] = []

    @property
    def surfaced(self) -> bool:
        """Whether decisions are told of it."""
        return self.status in ("trial", "promoted")

    def become(self, status: SkillStatus, seq: int, at: float, why: str) -> Change | None:
        """Change, if it is a change, and remember why."""
        if status == self.status:
            return None
        self.history = [*self.history, SkillChange(seq, at, self.status, status, why)][-KEPT:]
        self.status = status
        kind: Literal["promoted", "demoted"] = "demoted" if status == "retired" else "promoted"
        return Change(kind=kind, name=str(self.skill_id), episode_id=self.episode_id)


class Validations(msgspec.Struct):
    """What agents said of one episode's fix."""

    successes: int = 0
    failures: int = 0
    traces: set[str] = msgspec.field(default_factory=set)  # each counts once

    @property
    def total(self) -> int:
        return self.successes + self.failures

    @property
    def success_rate(self) -> float:
        return self.successes / self.total if self.total else 0.0


NONE = Validations()  # of an episode nobody spoke about; never written to


class Skills:
    """All validations and skills of a tenant."""

    def __init__(self) -> None:
        self.validations: dict[int, Validations] = {}
        self.by_episode: dict[int, Skill] = {}
        self.changes: list[Change] = []  # since they were asked for
        self.confirmed: dict[int, list[str]] = {}  # by episode, the first two keys that ran its fix and saw it work

    def of(self, episode_id: int) -> Validations:
        return self.validations.get(episode_id, NONE)

    def by_id(self, skill_id: int) -> Skill | None:
        return next((skill for skill in self.by_episode.values() if skill.skill_id == skill_id), None)

    def counted(self, episode_id: int, trace_id: str) -> bool:
        """Whether this decision's validation of the episode was counted before."""
        return trace_id in self.of(episode_id).traces

    def count(self, episode_id: int, trace_id: str | None, success: bool) -> None:
        """Count a validation, and remember the decision it joined."""
        record = self.validations.setdefault(episode_id, Validations())
        if trace_id is not None:
            record.traces.add(trace_id)
        if success:
            record.successes += 1
        else:
            record.failures += 1

    def confirm(self, episode_id: int, by: str) -> None:
        """Remember who said that the fix worked: two keys are enough, one of them is not its author's."""
        keys = self.confirmed.setdefault(episode_id, [])
        if by and by not in keys and len(keys) < ENOUGH:
            keys.append(by)

    def retire(self, skill_id: int, seq: int, at: float, why: str) -> None:
        """An operator's act: nothing but another one brings the skill back."""
        if (skill := self.by_id(skill_id)) is not None:
            self.note(skill.become("retired", seq, at, f"an operator retired it: {why}"))
            skill.retired_by_operator = True

    def note(self, change: Change | None) -> None:
        """Something became of a skill, if it did."""
        if change is not None:
            self.changes.append(change)

    def forget(self, episode_id: int) -> None:
        self.confirmed.pop(episode_id, None)
        self.validations.pop(episode_id, None)
        self.by_episode.pop(episode_id, None)

    def dump(self) -> tuple[list[tuple[int, int, int, list[str]]], list[Skill]]:
        rows = [(e, v.successes, v.failures, sorted(v.traces)) for e, v in sorted(self.validations.items())]
        return rows, [self.by_episode[episode_id] for episode_id in sorted(self.by_episode)]

    @classmethod
    def load(cls, rows: list[tuple[int, int, int, list[str]]], skills: list[Skill]) -> "Skills":
        loaded = cls()
        loaded.validations = {e: Validations(good, bad, set(traces)) for e, good, bad, traces in rows}
        loaded.by_episode = {skill.episode_id: skill for skill in skills}
        return loaded
