"""The stream: which tasks come in which order, from one seed. How they end is not in it."""

from collections.abc import Iterator
from random import Random

import msgspec

from .families import FAMILIES, Aside, Family, Scene

HOSTS = ("birch", "cedar", "rowan", "willow")
CI_SHARE, ASIDE_SHARE = 1 / 3, 1 / 2


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task as the agent gets it, and the folder it finds."""

    task_id: str
    family: str
    goal: str
    command: str
    scene: Scene
    check: str  # run in the root: exit code 0 when the goal is reached


def stream(seed: int, tasks: int) -> list[Task]:
    """The seeded stream: all families as often, jobs and scenes drawn by chance; late phrasings in the second half."""
    rng = Random(f"stream {seed}")
    families = _dealt(rng)
    return [_draw(rng, next(families), number, late=2 * number >= tasks) for number in range(tasks)]


def _dealt(rng: Random) -> Iterator[Family]:
    """All families in a shuffled order, then all again in another."""
    while True:
        yield from rng.sample(FAMILIES, len(FAMILIES))


def _draw(rng: Random, family: Family, number: int, *, late: bool) -> Task:
    job = rng.choice(family.jobs)
    phrase = rng.choice([phrase for phrase in job.phrases if late or not phrase.late])
    [(_, scene)] = rng.choices(job.scenes, [weight for weight, _ in job.scenes])
    return Task(
        task_id=f"task-{number + 1:03}",
        family=family.name,
        goal=phrase.goal,
        command=phrase.command,
        scene=_surrounded(rng, scene, family.aside),
        check=job.check,
    )


def _surrounded(rng: Random, scene: Scene, aside: Aside) -> Scene:
    """The scene with what decides nothing: where the agent's shell says it runs, and what lies around."""
    told = {"HOSTNAME": rng.choice(HOSTS)} | ({"CI": "true"} if rng.random() < CI_SHARE else {})
    besides = aside if rng.random() < ASIDE_SHARE else Aside()
    return msgspec.structs.replace(
        scene,
        files=scene.files | {f"{scene.cwd}/{name}": text for name, text in besides.files.items()},
        variables=told | besides.variables | scene.variables,
    )


def family_of(task: Task) -> Family:
    return next(family for family in FAMILIES if family.name == task.family)
