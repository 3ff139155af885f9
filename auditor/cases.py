"""Two-sided memory: how often each action signature succeeded and failed when it was run as planned."""

import msgspec


class CaseCount(msgspec.Struct, gc=False):
    """Outcomes of one signature."""

    successes: int = 0
    failures: int = 0

    @property
    def total(self) -> int:
        return self.successes + self.failures

    @property
    def failure_share(self) -> float:
        """Share of failures with one imagined outcome of each kind (Laplace)."""
        return (self.failures + 1) / (self.total + 2)


class Cases:
    """Counts by (namespace, signature)."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], CaseCount] = {}
        self.successes = 0
        self.failures = 0

    def observe(self, namespace: str, signature: str, success: bool) -> None:
        count = self.counts.setdefault((namespace, signature), CaseCount())
        if success:
            count.successes += 1
            self.successes += 1
        else:
            count.failures += 1
            self.failures += 1

    def of(self, namespace: str, signature: str) -> CaseCount:
        return self.counts.get((namespace, signature), CaseCount())

    @property
    def failure_share(self) -> float:
        """How often anything fails at this tenant: what to expect of an action nobody knows."""
        return (self.failures + 1) / (self.successes + self.failures + 2)

    def dump(self) -> list[tuple[str, str, int, int]]:
        return [(ns, sig, c.successes, c.failures) for (ns, sig), c in sorted(self.counts.items())]

    @classmethod
    def load(cls, rows: list[tuple[str, str, int, int]]) -> "Cases":
        cases = cls()
        for namespace, signature, successes, failures in rows:
            cases.counts[namespace, signature] = CaseCount(successes, failures)
            cases.successes += successes
            cases.failures += failures
        return cases
