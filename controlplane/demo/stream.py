"""The stream: which tasks come in which order, from one seed. How they end is not in it."""

from random import Random

import msgspec

from .families import FAMILIES, Family, Job, Scene


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the agent gets it, and the folder it finds."""

    task_id: str
    family: str
    goal: str
    command: str
    scene: Scene
    check: str  # run in the root: exit code 0 when the goal is reached


def stream(seed: int, tasks: int) -> list[Task]:
    """The seeded stream; phrasings marked late are drawn in its second half only."""
    rng = Random(f"stream {seed}")
    return [_draw(rng, number, late=2 * number >= tasks) for number in range(tasks)]


def _draw(rng: Random, number: int, *, late: bool) -> Task:
    family: Family = rng.choice(FAMILIES)
    job: Job = rng.choice(family.jobs)
    phrase = rng.choice([phrase for phrase in job.phrases if late or not phrase.late])
    weights = [weight for weight, _ in job.scenes]
    _, scene = rng.choices(job.scenes, weights)[0]
    return Task(
        task_id=f"task-{number + 1:03}",
        family=family.name,
        goal=phrase.goal,
        command=phrase.command,
        scene=scene,
        check=job.check,
    )


def family_of(task: Task) -> Family:
    return next(family for family in FAMILIES if family.name == task.family)
