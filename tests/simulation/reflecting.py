"""Reflects beside the requests, with nobody asked; what is taken away has to be gone."""

import asyncio

from auditor.events import EpisodeDeleted
from auditor.reflection_events import Insight, Reflected, ReflectionEvicted
from controlplane.errors import StorageFull, Unavailable
from controlplane.ids import new_id

from .operations import Known, canary
from .world import PATIENCE_S, World

THINK_S = (0.0, 0.01, 0.3, 1.0)


class Reflecting:
    """Keeps a reflection of some episode after the other; a crash ends one where it stands."""

    def __init__(self, world: World, known: dict[str, Known]) -> None:
        self.world, self.rng, self.known = world, world.rng, known

    async def one(self) -> None:
        """By whichever process is up; nothing more comes of it when that one dies."""
        await asyncio.sleep(self.rng.choice(THINK_S))
        await self.world.up.wait()
        task = self.world.loop.create_task(self._keep(), name="reflecting")
        await asyncio.wait({task}, timeout=PATIENCE_S)

    async def _keep(self) -> None:
        """Of an episode that is there, or was a moment ago."""
        tenant = self.rng.choice(sorted(self.known))
        if not (episodes := self.known[tenant].episodes) or not self.world.service.memory.live:
            return
        name, text = new_id("rf"), canary(tenant)
        insight = Insight(
            root_cause=text, preconditions=(text,), resolution_strategy=text, environment_factors=(), confidence=0.5
        )
        made = Reflected(
            tenant=tenant, at=self.world.clock.now(), reflection_id=name, episode_id=self.rng.choice(episodes[-8:]),
            tier="cheap", insight=insight,
        )  # fmt: skip
        self.known[tenant].reflections.append(name)
        try:
            await self.world.service.reflects.keep(made)
        except (StorageFull, Unavailable):
            return

    async def wrong(self) -> list[str]:
        """What was evicted, or is of an episode that was purged, is on disk no more; memory has none of it."""
        gone, made = set[tuple[str, object]](), list[Reflected]()
        for recorded in await self.world.journal.read(0, len(self.world.disk.rows)):
            match recorded.event:
                case EpisodeDeleted(tenant=tenant, episode_id=episode_id):
                    gone.add((tenant, episode_id))
                case ReflectionEvicted(tenant=tenant, reflection_id=name):
                    gone.add((tenant, name))
                case Reflected() as event:
                    made.append(event)
        left = [of for of in made if gone & {(of.tenant, of.episode_id), (of.tenant, of.reflection_id)}]
        held = self.world.service.memory.reflections
        return [f"a reflection that was taken away is on disk: {of.reflection_id}" for of in left] + [
            f"a reflection that was taken away is remembered: {name}" for name in held if name in gone
        ]
