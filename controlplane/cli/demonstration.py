"""The demo as a command."""

from .program import Flag, Json, app


@app.command
def demo(
    *,
    seed: int = 1,
    tasks: int = 600,
    follow: float = 0.5,
    keep: Flag = False,
    json: Json = False,
) -> None:
    """Play a stream of real shell commands with no gate, the fixed rule, the rule at its best, and the learned gate.

    Args:
      seed: Seed of the stream; the same seed gives the same tasks.
      tasks: How many tasks the stream has.
      follow: Probability with which the agent follows a HINT, 0 to 1.
      keep: Keep the scratch folder and the servers' data, and say where.
      json: Print JSON for machines.
    """
    from ..demo.run import play

    play(seed=seed, tasks=tasks, follow=follow, keep=keep, as_json=json)
