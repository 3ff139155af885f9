"""Clients of several tenants who remember failures, look for them and purge them, at whichever replica answers."""

import random
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from controlplane.contract import CaptureRequest, SearchRequest
from controlplane.errors import NotFound, RateLimited, Unavailable
from controlplane.service import Service
from controlplane.tenants import Call, Caller
from controlplane.tenants.registry import EVERY_SCOPE

from .operations import TENANTS, canary

CALLERS = [Caller(tenant=tenant, tier=tiers[0], key_id="", scopes=EVERY_SCOPE) for tenant, tiers in TENANTS.items()]
LOOKED_FOR = 20  # of what is remembered, in the end
Send = Callable[[Caller, str, Callable[..., Any]], Awaitable[Any]]  # again and again until it is answered
Ask = Callable[[Callable[[Service], Awaitable[Any]]], Awaitable[Any]]  # once; None where it is not answered


class Memories:
    """What was acknowledged, and what was seen that should not have been."""

    def __init__(self, rng: random.Random, send: Send, ask: Ask) -> None:
        self.captured: dict[tuple[str, int], str] = {}
        self.touched = set[tuple[str, int]]()  # by a purge, whatever came of it
        self.purged = set[tuple[str, int]]()
        self.wrong: list[str] = []
        self.let_in = 0
        self._rng, self._send, self._ask, self._numbers = rng, send, ask, count()

    async def one(self) -> None:
        """A call of some tenant's, counted before."""
        caller = self._rng.choice(CALLERS)
        what, call = self._rng.choice(((self._capture, "capture"), (self._search, "search"), (self._purge, "capture")))
        if await self._ask(lambda service: _counted(service, caller, call)):  # type: ignore[arg-type]
            self.let_in += 1
            await what(caller)

    async def _capture(self, caller: Caller) -> None:
        text = f"{canary(caller.tenant)} {next(self._numbers)} {self._rng.random()}"
        request = CaptureRequest(goal=text, planned_action="make ship", error_trace=f"Error: {self._rng.random()}")
        made = await self._send(caller, "/v1/capture", lambda s, r: s.remembering.capture(caller, request, r))
        if made["duplicate_of"] is None:
            self.captured[caller.tenant, made["episode_id"]] = text

    async def _search(self, caller: Caller) -> None:
        """For anything of anybody's."""
        sought = self._rng.choice([*self.captured.values(), "x"])
        request = SearchRequest(goal=sought, min_similarity=-1.0, k=100)
        answer = await self._ask(lambda service: service.remembering.search(caller, request))
        others = [of.tenant for of in CALLERS if of is not caller]
        if answer is not None and any(canary(other) in str(answer) for other in others):
            self.wrong.append(f"{caller.tenant} found what is another's: {answer}")

    async def _purge(self, caller: Caller) -> None:
        """One that its replica may not know of yet."""
        own = [episode for tenant, episode in self.captured if tenant == caller.tenant]
        if not own:
            return
        place = caller.tenant, self._rng.choice(own)
        self.touched.add(place)
        if await self._ask(lambda service: _purged(service, caller, place[1])):
            self.purged.add(place)

    async def left(self, service: Service) -> list[str]:
        """What a replica holds that was purged, or does not hold or find that was captured."""
        held = [(tenant, at) for tenant, at in self.captured if service.memory.episode(tenant, at) is not None]
        kept = sorted(self.captured.keys() - self.touched)
        wrong = [f"a replica remembers {place}, which was purged" for place in held if place in self.purged]
        wrong += [f"a replica does not remember {place}" for place in kept if place not in held]
        for tenant, episode in self._rng.sample(kept, min(len(kept), LOOKED_FOR)):
            caller = next(of for of in CALLERS if of.tenant == tenant)
            request = SearchRequest(
                goal=self.captured[tenant, episode], planned_action="make ship", min_similarity=0.99
            )
            answer = await service.remembering.search(caller, request)
            if [found.episode_id for found in answer.results] != [episode]:
                wrong.append(f"a replica finds {answer.results} by the text of {tenant}'s {episode}")
        return wrong


async def _counted(service: Service, caller: Caller, call: Call) -> bool:
    """Whether it is let in."""
    try:
        await service.limiter.take(caller.tenant, caller.tier, call)
    except RateLimited:
        return False
    return True


async def _purged(service: Service, caller: Caller, episode_id: int) -> bool:
    """Whether it is gone."""
    try:
        await service.remembering.delete(caller, episode_id)
    except (NotFound, Unavailable):
        return False
    return True
