"""How long processes ran and how long they waited for a processor, as Linux counts it."""

from pathlib import Path
from typing import NamedTuple, Self

PROC = Path("/proc")
NANO = 1e-9


class Ran(NamedTuple):
    """Seconds of a thread."""

    ran_s: float
    waited_s: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Of a process's first thread, from its start until now; nothing once it has ended."""
        try:
            ran, waited, _ = (PROC / str(pid) / "schedstat").read_text("ascii").split()
        except (FileNotFoundError, ProcessLookupError):
            return cls(0.0, 0.0)
        return cls(int(ran) * NANO, int(waited) * NANO)

    def since(self, before: "Ran") -> "Ran":
        return Ran(self.ran_s - before.ran_s, self.waited_s - before.waited_s)

    @property
    def stretch(self) -> float:
        """How many seconds a second of work took, for want of a processor."""
        return (self.ran_s + self.waited_s) / self.ran_s


NOTHING = Ran(0.0, 0.0)


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    return [int(child) for child in (PROC / str(pid) / "task" / str(pid) / "children").read_text("ascii").split()]
