"""One order of a real task: ours through both loops, and the same features with every candidate's outcome shown."""

import numpy as np

from auditor.rewards import Scene, score
from controlplane.embedding import BatchingEmbedder
from controlplane.settings import Settings
from controlplane.tenants import LOCAL
from strategist import Policy, Situation, Step, Transition

from .figures import Earned, Order
from .routing import Routing
from .shipped import Shipped, shipped


async def ours(task: Routing, after: Routing, embedder: BatchingEmbedder, order: Order, settings: Settings) -> Earned:
    """Bandit feedback: what was chosen is all that is learnt of. `after` is the task from half-way on."""
    earned = np.empty(len(order))
    async with shipped(settings, task.weights, embedder) as running:
        for place, item in enumerate(order):
            now = task if 2 * place < len(order) else after
            answer = await running.decide(now.requests[item])
            arm = now.actions.index(answer.action)
            earned[place] = now.utilities[item, arm]
            await running.report(str(answer.trace_id), now.outcomes(int(item), arm))
    return earned


async def full_information(task: Routing, embedder: BatchingEmbedder, order: Order) -> Earned:
    """The twin: the same policy, greedy, and after every decision it hears what each candidate would have given."""
    running = Shipped(Settings(), task.weights, embedder)
    rules = running.rules.points["route"]
    policy, earned = Policy(rules.policy), np.empty(len(order))
    for place, item in enumerate(order):
        situation = await _situation(running, task, int(item))
        values = policy.values(situation)
        arm = task.actions.index(situation.actions[int(np.argmax(values))])
        earned[place] = task.utilities[item, arm]
        for action in situation.actions:
            outcome = task.outcomes(int(item), task.actions.index(action))
            report = score("route", Scene(action, outcome), rules.weights)
            policy.fold(Transition.termination((Step(situation, action),), report.total))
    return earned


async def _situation(running: Shipped, task: Routing, item: int) -> Situation:
    fold = running.learner.state.of(LOCAL.tenant)
    evidence = await running.route.recall(fold, task.requests[item], "", 0.0)
    actions = tuple(evidence.candidates)
    known = tuple(evidence.known[action] for action in actions) if evidence.known else ()
    return Situation(running.route.features.state(evidence), actions, None, known)
