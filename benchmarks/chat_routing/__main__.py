"""`make bench-chat-routing`: what routing chats earns on RouteLLM's questions; draws docs/routing-cost.svg.

Real processes and sockets: a server as it is shipped, and a fake provider for each of two models that answers as was
recorded. The client sees an answer, says by its trace id whether it is right, and nothing else; the router sees the
question. Each order is played at three weights of what is spent, each time by a new tenant.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ..learning.figures import spread
from . import figures
from .full_information import gaps
from .picture import drawing
from .play import Played, play
from .questions import MODELS, Questions, routellm
from .station import NANO, station

BEGIN = 20_261_129  # seed of the first order; the weights, and all that ships, were chosen on orders of other seeds
WEIGHTS = (1.0, 1.5, 2.0)  # of `spent`, beside a success that weighs 1
DRAWN = Path(__file__).parents[2] / "docs" / "routing-cost.svg"


def measure(questions: Questions, orders: int) -> dict[str, Any]:
    """All figures over so many orders."""
    plays: dict[float, list[Played]] = {weight: [] for weight in WEIGHTS}
    ledger = 0
    with station(questions, POINTSMAN_SEED=str(BEGIN)) as running, Progress(transient=True) as progress:
        bar = progress.add_task("routing", total=orders * len(WEIGHTS) * len(questions.prompts))
        for number in range(orders):
            order = np.random.default_rng(BEGIN + number).permutation(len(questions.prompts))
            for weight in WEIGHTS:
                name = f"order-{number}-at-{int(1000 * weight)}"
                key, advance = running.tenant(name, weight), partial(progress.advance, bar)
                plays[weight].append(asyncio.run(play(running.url, key, questions, order, advance)))
                ledger += running.spent(name)
        billed = running.billed()
    if ledger != billed:
        raise RuntimeError(f"the ledger has {ledger} nano-USD, the providers billed {billed}")
    chance = np.random.default_rng(BEGIN).random(len(questions.prompts))
    return {
        "questions": len(questions.prompts),
        "orders": orders,
        "always": {model.name: rounded(figures.always(questions, place)) for place, model in enumerate(MODELS)},
        "routed": {str(weight): routed(questions, each) for weight, each in plays.items()},
        "random": rounded(figures.ranking(chance, questions)),
        "longest_first": rounded(figures.ranking(questions.tokens, questions)),
        "full_information": rounded(figures.ranking(gaps(questions, BEGIN), questions)),
        "ledger_usd": ledger / NANO,
        "billed_usd": billed / NANO,
    }


def rounded(figures: NamedTuple) -> dict[str, float]:
    """Their names beside them."""
    return {name: round(value, 4) for name, value in figures._asdict().items()}


def routed(questions: Questions, plays: Sequence[Played]) -> dict[str, Any]:
    """Figures at one weight; pairs are (mean, standard deviation over orders), `interval` is 95 %."""
    points, rankings = ([of(questions, each) for each in plays] for of in (figures.spent, figures.ranked))
    more, interval = figures.above(questions, plays, BEGIN)
    return {
        **{name: spread([getattr(point, name) for point in points]) for name in figures.Point._fields},
        "premium": spread([float(each.premium.mean()) for each in plays]),
        "above": round(more, 4),
        "interval": [round(end, 4) for end in interval],
        "above_shortest_first": spread([figures.above_ranked(questions, each, -questions.tokens) for each in plays]),
        "above_longest_first": spread([figures.above_ranked(questions, each, questions.tokens) for each in plays]),
        **{name: spread([getattr(one, name) for one in rankings]) for name in figures.Ranking._fields},
    }


def table(found: dict[str, Any]) -> Table:
    """What is read first."""
    made = Table("router", "accuracy", "USD for 1,000", "above a coin", "APGR", "CPT(50)", "CPT(80)")
    for name, point in found["always"].items():
        made.add_row(f"always {name}", str(point["accuracy"]), str(point["usd"]))
    for weight, of in found["routed"].items():
        more = f"{of['above']} ({of['interval'][0]} to {of['interval'][1]})"
        means = [str(of[name][0]) for name in ("accuracy", "usd")], [str(of[n][0]) for n in figures.Ranking._fields]
        made.add_row(f"spent weighs {weight}", *means[0], more, *means[1])
    for name in ("random", "longest_first", "full_information"):
        made.add_row(name, "", "", "", *map(str, found[name].values()))
    made.caption = f"ledger {found['ledger_usd']:.9f} USD, billed {found['billed_usd']:.9f} USD"
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chat_routing", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder of real data sets")
    parser.add_argument("--orders", type=int, default=2, help="orders of the questions, at least 2 (default 2)")
    parser.add_argument("--json", action="store_true", help="print JSON, and draw nothing")
    arguments = parser.parse_args()
    found = measure(routellm(arguments.data), arguments.orders)
    if arguments.json:
        print(json.dumps(found))
        return
    DRAWN.write_text(drawing(found), "utf-8")
    Console().print(table(found))


if __name__ == "__main__":
    main()
