"""The closings that are due in a fold: windows of decisions, and tasks that fell silent."""

from collections.abc import Iterator

from .events import TrajectoryClosed, WindowClosed
from .fold import TenantFold


def expired(fold: TenantFold, now: float) -> Iterator[WindowClosed | TrajectoryClosed]:
    """Events for whoever holds the clock to append.

    What carries a time that is yet to come was noted before the clock was set back, and says nothing of the rest.
    """
    shortest = min(point.window_s for point in fold.rules.points.values())
    for decision in fold.credit.open.values():
        age = now - decision.at
        if 0.0 <= age < shortest:
            if fold.credit.in_order:
                break  # the rest is younger
            continue
        waits_for_more = decision.report is not None and (decision.task is not None or fold.credit.held(decision))
        if not waits_for_more and age >= fold.rules.points[decision.point].window_s:
            yield WindowClosed(tenant=fold.tenant, at=now, trace_id=decision.trace_id)
    for (point, namespace, task_id), trajectory in fold.credit.trajectories.items():
        age = now - trajectory.last_at
        if 0.0 <= age < fold.rules.trajectory_ttl_s:
            if fold.credit.in_order:
                break  # the rest was used later
            continue
        if age > 0.0:
            yield TrajectoryClosed(tenant=fold.tenant, at=now, point=point, namespace=namespace, task_id=task_id)
