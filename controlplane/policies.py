"""What operators set at a point: mode, weights, ceilings, guard rules. Every change is an event with who and why."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from auditor import Learner
from auditor.comparison import Comparison
from auditor.fold import TenantFold
from auditor.guards import Guard
from auditor.override import Override
from auditor.policy_events import PolicySet
from auditor.rewards import DEFAULT_WEIGHTS, bounds

from .clock import Clock
from .contract import ComparisonAnswer, PolicyRequest
from .errands import Errands
from .errors import PolicyMoved, UnknownPoint, Unprocessable
from .executor.guarding import UNASKED
from .journal import Journal
from .tenants import Caller
from .turns import Turns

SERVER = ""  # who did what no operator asked for
ASKED = ("version", "why")  # fields of a request that are no part of what it sets


class Policies:
    """Changes how points decide for a tenant, one change after the other."""

    def __init__(self, learner: Learner, journal: Journal, clock: Clock) -> None:
        self._learner, self._journal, self._clock = learner, journal, clock
        self._errands, self.turns = Errands(), Turns(learner, journal)

    async def set(self, caller: Caller, point: str, request: PolicyRequest) -> None:
        """Set what the request names; it holds for the next decision.

        Raises:
          UnknownPoint, Unprocessable: there is no such point; this cannot be set there.
          PolicyMoved: it was changed since the version that the request names.
        """
        self.refuse_unknown(caller.tenant, point)
        _refuse_meaningless(point, request)
        await self._errands.finish(self._set(caller, point, request))

    async def _set(self, caller: Caller, point: str, request: PolicyRequest) -> None:
        async with self.turns.turn():
            steered = self._learner.state.steering.at(caller.tenant, point)
            if steered.version != request.version:
                raise PolicyMoved(f"the policy at {point} has version {steered.version}, not {request.version}")
            override = changed(steered.override, request)
            at, by = self._clock.now(), caller.key_id
            event = PolicySet(tenant=caller.tenant, at=at, point=point, override=override, by=by, why=request.why)
            await self._learner.reached(await self._journal.append(event))

    async def follow_evidence(self) -> None:
        """Let each table act that is proven better than the rule it is an apprentice of, where that is left to it."""
        for tenant, fold in list(self._learner.state.tenants.items()):
            for point in proven(fold):
                await self._errands.finish(self._hand_over(tenant, point))

    async def _hand_over(self, tenant: str, point: str) -> None:
        async with self.turns.turn():
            fold = self._learner.state.of(tenant)
            if point not in proven(fold):
                return  # it was set meanwhile
            override = self._learner.state.steering.at(tenant, point).override
            told = in_rewards(fold, point, fold.proof.comparisons[point])
            why = f"the table is better than the rule: {known(told)}"
            sets = msgspec.structs.replace(override, mode="learning")
            event = PolicySet(tenant=tenant, at=self._clock.now(), point=point, override=sets, by=SERVER, why=why)
            await self._learner.reached(await self._journal.append(event))

    def refuse_unknown(self, tenant: str, point: str) -> None:
        """Raises UnknownPoint."""
        if point not in self._learner.state.of(tenant).rules.points:
            raise UnknownPoint


def proven(fold: TenantFold) -> list[str]:
    """The points at which a table that may take over is better than its rule, by all that is known."""
    return [
        point
        for point, rules in fold.rules.points.items()
        if (rules.policy.mode, rules.hand_over) == ("apprentice", "automatic")
        and point in fold.proof.comparisons
        and fold.proof.comparisons[point].interval[0] > 0.0
    ]


def known(told: ComparisonAnswer) -> str:
    """What is known of a difference, as a reason."""
    span = f"{told.at_least:.3g} to {told.at_most:.3g}"
    return f"a decision earns {span} more, by {told.decisions} of them"


def told_of(fold: TenantFold, point: str) -> ComparisonAnswer | None:
    """The comparison of an apprentice's table with its rule; None where there is none."""
    comparison = fold.proof.comparisons.get(point)
    return None if comparison is None else in_rewards(fold, point, comparison)


def in_rewards(fold: TenantFold, point: str, comparison: Comparison) -> ComparisonAnswer:
    """A comparison in units of the reward."""
    lowest, highest = bounds(point, fold.rules.points[point].weights)
    at_least, at_most = (round(end * (highest - lowest), 6) for end in comparison.interval)
    return ComparisonAnswer(
        decisions=comparison.for_theirs.numbers,
        unsupported=comparison.unsupported,
        at_least=at_least,
        at_most=at_most,
    )


def changed(override: Override, request: PolicyRequest) -> Override:
    """The override with what the request sets; null takes away what was set."""
    given = {name: getattr(request, name) for name in request.__struct_fields__ if name not in ASKED}
    nothing = msgspec.structs.asdict(Override())
    sets = {name: nothing[name] if value is None else value for name, value in given.items() if value is not UNSET}
    return msgspec.structs.replace(override, **sets)


def _refuse_meaningless(point: str, request: PolicyRequest) -> None:
    """Raises Unprocessable for weights of terms that are not there, and for guard rules that could never be meant."""
    refuse_weights(point, request.weights or ())
    for guard in request.guards or ():
        if (wrong := _wrong_with(point, guard)) is not None:
            raise Unprocessable(f"the guard rule {guard.name!r} {wrong}")


def refuse_weights(point: str, weights: Iterable[str]) -> None:
    """Raises Unprocessable for weights of terms that are not there."""
    if unknown := [name for name in weights if not _weighs(point, name)]:
        terms = ", ".join(DEFAULT_WEIGHTS[point])
        raise Unprocessable(f"weights has {', '.join(unknown)}; {point} has the terms {terms} and custom.<name>")


def _weighs(point: str, name: str) -> bool:
    return name in DEFAULT_WEIGHTS[point] or name.startswith("custom.")


def _wrong_with(point: str, guard: Guard) -> str | None:
    if point != "gate":
        asks = guard.tool is not None or guard.command is not None
        return "names a tool or a command, which only the gate is asked about" if asks else None
    named = [verdict for verdict in UNASKED if guard.names(verdict)]
    if guard.effect == "force" and not named:
        return f"forces none of {', '.join(UNASKED)}: only these can be had without evidence"
    if guard.effect == "forbid" and len(named) == len(UNASKED):
        return f"forbids all of {', '.join(UNASKED)}; force BLOCK instead"
    return None
