"""What a capture decides: which tier of language models reflects on the failure."""

from auditor import Trace
from auditor.events import Episode
from strategist import NoEligibleAction

from .clock import Clock
from .contract import DecisionRequest
from .executor.capture import CapturePoint
from .memory.space import EpisodeRecord
from .plane import Plane, Watch
from .reflections import Reflects
from .tenants import Caller


class Tiering:
    """Decides; whoever captures the failure writes the decision down with it."""

    def __init__(self, plane: Plane, point: CapturePoint, reflects: Reflects, clock: Clock) -> None:
        self._plane, self._point, self._reflects, self._clock = plane, point, reflects, clock

    async def decide(self, caller: Caller, episode: Episode) -> Trace | None:
        """The decision about a failure that is new; None where no tier can be had.

        Raises:
          EmbeddingUnavailable: what is similar cannot be told.
        """
        if not self._reflects.able:
            return None
        new = EpisodeRecord.of(0, self._clock.now(), episode)
        known = await self._reflects.for_new(caller.tenant, caller.key_id, new)
        evidence = self._point.known(episode, caller.key_id, *known)
        asked = DecisionRequest(
            point=self._point.name,
            namespace=episode.namespace,
            task_id=episode.task_id,
            context={"severity": episode.severity},
        )
        try:
            made = await self._plane.make(caller.tenant, self._point, asked, evidence, Watch(self._clock))
        except NoEligibleAction:
            return None
        self._plane.count(made.trace)
        return made.trace
