"""One order of a real task: ours through both loops, and the same features with every candidate's outcome shown."""

import numpy as np
from numpy.typing import NDArray

from auditor.rewards import Scene, score
from controlplane.embedding import BatchingEmbedder
from strategist import Policy, Situation, Step, Transition

from .inprocess import Loops, loops
from .routing import Routing

Earned = NDArray[np.float64]  # utility of each decision [N], in the order they were taken


async def ours(task: Routing, embedder: BatchingEmbedder, order: NDArray[np.intp], seed: int) -> Earned:
    """Bandit feedback: what was chosen is all that is learnt of."""
    earned = np.empty(len(order))
    async with loops(embedder, task.weights, seed) as running:
        for place, item in enumerate(order):
            answer = await running.decide(task.requests[item])
            arm = task.actions.index(answer.action)
            earned[place] = task.utilities[item, arm]
            await running.report(answer, task.outcomes(int(item), arm))
    return earned


async def full_information(task: Routing, embedder: BatchingEmbedder, order: NDArray[np.intp]) -> Earned:
    """The twin: the same policy, greedy, and after every decision it hears what each candidate would have given."""
    running = Loops(embedder, task.weights, seed=0)
    rules = running.rules.points["route"]
    policy, earned = Policy(rules.policy), np.empty(len(order))
    for place, item in enumerate(order):
        situation = await _situation(running, task, int(item))
        q = policy.values(situation)
        arm = task.actions.index(situation.actions[int(np.argmax(q))])
        earned[place] = task.utilities[item, arm]
        for action in situation.actions:
            outcome = task.outcomes(int(item), task.actions.index(action))
            report = score("route", Scene(action, outcome), rules.weights)
            policy.fold(Transition.termination((Step(situation, action),), report.total))
    return earned


async def _situation(running: Loops, task: Routing, item: int) -> Situation:
    fold = running.learner.state.of("default")
    evidence = await running.route.recall(fold, task.requests[item], running.clock.now())
    actions = tuple(evidence.candidates)
    known = tuple(evidence.known.get(action, 0.0) for action in actions) if evidence.known else ()
    return Situation(running.route.features.state(evidence), actions, None, known)
