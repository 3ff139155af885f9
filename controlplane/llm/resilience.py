"""The one layer that tries again: few tries, pauses that are drawn, other models, and never more than others can bear.

A call has one deadline and at most three tries, each through whatever its caller puts before the provider. The pause
before a try is as stamina draws it: it doubles, with jitter, and is at least what Retry-After asks for. All further
tries together are a small share of all calls, or a provider that is in trouble would be asked three times as much.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

from ..clock import Clock
from .breaker import Breaker, Draw
from .failures import NO_RETRY
from .provider import Call, Json, Provider, ProviderFailed, Reply, Route

TRIES = 3  # of one call, other models included
FIRST_PAUSE_S, LONGEST_PAUSE_S, JITTER_S = 0.1, 5.0, 0.1
RETRY_SHARE = 0.1  # further tries among all calls
SAVED_UP = 10.0  # further tries that a quiet time leaves, so that the first failure of a day is tried again

Sleep = Callable[[float], Awaitable[None]]
Through = Callable[[Route, Provider], Provider]  # what every try of a call goes through on its way to the provider


class _Progress:
    """How far a call has come through its routes."""

    def __init__(self, routes: Sequence[Route], ends: float, most: int) -> None:
        assert routes, "a call has a route"
        self.routes, self.ends, self.most = routes, ends, most
        self.at, self.tries, self.begun = -1, 0, False
        self.failure: ProviderFailed | None = None
        self.refused = set[str]()  # providers that a second try cannot change

    def failed(self, failure: ProviderFailed, route: Route) -> None:
        self.failure = failure
        if failure.kind in NO_RETRY:
            self.refused.add(route.provider)


def _straight(route: Route, provider: Provider) -> Provider:
    return provider


class Resilience:
    """Calls, answered by the first route that can; `draw` and `sleep` are the dice and the waiting."""

    def __init__(
        self, providers: Mapping[str, Provider], clock: Clock, draw: Draw, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.breakers = {name: Breaker(name, clock, draw) for name in providers}
        self._providers, self._clock, self._draw, self._sleep = providers, clock, draw, sleep
        self._saved_up = SAVED_UP

    def lets_through(self, provider: str) -> bool:
        """Whether a provider is asked, or left alone for now."""
        return self.breakers[provider].lets_through

    def may_try_again(self) -> bool:
        """Whether others can bear one more try of a call that failed; if so, it is counted."""
        if self._saved_up < 1:
            return False
        self._saved_up -= 1
        return True

    async def complete(
        self,
        routes: Sequence[Route],
        body: Json,
        deadline_s: float,
        through: Through = _straight,
        tries: int = TRIES,
    ) -> Reply:
        """The whole answer, of the first route that gives one.

        Raises:
          ProviderFailed: none did; how the last one failed.
        """
        progress = self._begun(routes, deadline_s, tries)
        while True:
            route = await self._next(progress)
            provider = through(route, self._providers[route.provider])
            with self._trying(progress, route) as call:
                return await provider.complete(call(body))

    async def stream(
        self,
        routes: Sequence[Route],
        body: Json,
        deadline_s: float,
        through: Through = _straight,
        tries: int = TRIES,
    ) -> AsyncGenerator[Json | Reply, None]:
        """The answer's chunks as they come, and last a Reply; what has begun is not begun again.

        Raises:
          ProviderFailed: no route began to answer, or the one that had begun broke off.
        """
        progress = self._begun(routes, deadline_s, tries)
        while True:
            route = await self._next(progress)
            provider = through(route, self._providers[route.provider])
            with self._trying(progress, route) as call:
                async with aclosing(provider.stream(call(body))) as pieces:
                    async for piece in pieces:
                        progress.begun = True
                        yield piece
                return

    def _begun(self, routes: Sequence[Route], deadline_s: float, tries: int) -> _Progress:
        self._saved_up = min(self._saved_up + RETRY_SHARE, SAVED_UP)
        return _Progress(routes, self._clock.monotonic() + deadline_s, tries)

    async def _next(self, progress: _Progress) -> Route:
        """Where the call is tried now, after the pause that is due."""
        if (failure := progress.failure) is not None:
            over = failure.kind == "bad_request" or progress.tries == progress.most
            if over or not self.may_try_again():
                raise failure
        if again := self._again(progress):
            await self._sleep(again)
        places = range(progress.at + (0 if again else 1), len(progress.routes))
        usable = [place for place in places if self._usable(progress, place)]
        if not usable or progress.ends <= self._clock.monotonic():
            raise progress.failure or ProviderFailed("breaker_open", progress.routes[0].provider, retryable=True)
        progress.at = usable[0]
        progress.tries += 1
        return progress.routes[progress.at]

    def _again(self, progress: _Progress) -> float | None:
        """The pause before the same route is tried again, where it is: later routes have their try first."""
        failure = progress.failure
        if failure is None or not failure.retryable:
            return None
        others = sum(self._usable(progress, place) for place in range(progress.at + 1, len(progress.routes)))
        pause = min(FIRST_PAUSE_S * 2 ** (progress.tries - 1), LONGEST_PAUSE_S)
        pause = max(pause, failure.retry_after_s or 0) + JITTER_S * self._draw()
        fits = pause < progress.ends - self._clock.monotonic()
        return pause if fits and progress.most - progress.tries > others else None

    def _usable(self, progress: _Progress, place: int) -> bool:
        provider = progress.routes[place].provider
        return provider not in progress.refused and self.lets_through(provider)

    @contextmanager
    def _trying(self, progress: _Progress, route: Route) -> Iterator[Callable[[Json], Call]]:
        """One try: its breaker hears how it ends, and a failure is kept for the next where there may be one."""
        breaker, granted_s = self.breakers[route.provider], progress.ends - self._clock.monotonic()
        breaker.begin()
        try:
            yield lambda body: Call(body=body, model=route.model, deadline_s=granted_s)
        except ProviderFailed as failure:
            breaker.failed(failure, granted_s)
            progress.failed(failure, route)
            if progress.begun:
                raise
        except BaseException:
            breaker.left()
            raise
        else:
            breaker.answered()
