"""One pass over an origin: what is new or modified is sent, what is gone is dropped, and nothing is sent twice.

The server knows which version of which record it has, so a pass that was killed goes on where it was.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from ..masking import without_secrets
from .described import Described
from .server import NotTaken, Server, ServerRefused
from .sources import Read, SourceFailed, read

BATCH, BATCH_BYTES = 64, 150_000  # of a record that is larger alone its batch
Told = Callable[[int, int], None]


class Skipped(msgspec.Struct, frozen=True):
    """A record that is not kept, and why; without secrets, for it is shown and logged."""

    key: str
    why: str

    @classmethod
    def of(cls, key: str, why: str) -> "Skipped":
        return cls(without_secrets(key), without_secrets(why))


class Passed(msgspec.Struct, kw_only=True):
    """What a pass over an origin came to."""

    origin: str
    records: int = 0
    kept: int = 0
    unchanged: int = 0
    dropped: int = 0
    skipped: list[Skipped] = msgspec.field(default_factory=list)
    violations: list[Skipped] = msgspec.field(default_factory=list)  # of the licences that are denied
    failed: str | None = None

    @property
    def changed(self) -> bool:
        return bool(self.kept or self.dropped)

    @property
    def troubles(self) -> tuple[object, ...]:
        """What was not done, and why."""
        return self.failed, {*self.skipped}, {*self.violations}


class Backfill:
    """Passes over origins, as often as it is asked to; what was refused once is not sent again before it changes."""

    def __init__(self, server: Server, stopped: Callable[[], bool]) -> None:
        self._server, self._stopped = server, stopped
        self._refused: dict[tuple[str, str], tuple[str, Skipped, bool]] = {}  # version, why, whether by its licence

    def stale_vectors(self) -> int:
        """How many vectors of another embedder the server still has to renew; it does so by itself."""
        return int(self._server.ask("GET", "/status")["memory"]["stale_vectors"])

    def over(self, origin: Described, told: Told) -> Passed:
        """One pass; a source or a server that fails ends it, and is named."""
        passed = Passed(origin=origin.name)
        try:
            self._register(origin)
            known = self._known(origin)
            gone = known.keys() - self._sent(origin, known, passed, told)
            for key in sorted(gone) if not self._stopped() else ():
                self._server.ask("DELETE", "/v1/documents", **self._named(origin), key=key)
                passed.dropped += 1
        except (SourceFailed, ServerRefused) as error:
            passed.failed = str(error)
        return passed

    def _named(self, origin: Described) -> dict[str, str]:
        return {"origin": origin.name, "namespace": origin.namespace}

    def _register(self, origin: Described) -> None:
        wanted = {"origin": origin.name, "what": origin.what, "license": origin.license}
        listed = self._server.ask("GET", "/v1/origins")
        if not any(known["registered"] and wanted.items() <= known.items() for known in listed):
            self._server.ask("POST", "/v1/origins", wanted)

    def _known(self, origin: Described) -> dict[str, str]:
        """The versions that the server has, by key."""
        known, after = dict[str, str](), ""
        while True:
            page = self._server.ask("GET", "/v1/documents", **self._named(origin), after=after)
            known.update((document["key"], document["version"]) for document in page["documents"])
            if page["next"] is None:
                return known
            after = page["next"]

    def _sent(self, origin: Described, known: dict[str, str], passed: Passed, told: Told) -> set[str]:
        """Send what the server does not have; every key that the source has."""
        seen, batch, size = set[str](), list[Read](), 0
        for record in read(origin):
            if self._stopped():
                return seen | known.keys()
            passed.records += 1
            seen.update((record.key,) if record.keyed else known)  # without a key it may be any that is known
            if record.document is None:
                passed.skipped.append(Skipped.of(record.key, record.why))
            elif record.version == known.get(record.key):
                passed.unchanged += 1
            elif not self._refused_before(origin, record, passed):
                more = len(msgspec.json.encode(record.document))
                if len(batch) == BATCH or size + more > BATCH_BYTES:
                    self._send(origin, batch, passed)
                    batch, size = [], 0
                batch.append(record)
                size += more
            told(record.done, record.of)
        self._send(origin, batch, passed)
        return seen

    def _refused_before(self, origin: Described, record: Read, passed: Passed) -> bool:
        version, skipped, violation = self._refused.get((origin.name, record.key), ("", None, False))
        if skipped is None or version != record.version:
            return False
        (passed.violations if violation else passed.skipped).append(skipped)
        return True

    def _send(self, origin: Described, batch: list[Read], passed: Passed) -> None:
        if not batch:
            return
        body: dict[str, Any] = {**self._named(origin), "documents": [record.document for record in batch]}
        try:
            answers = self._server.ask("POST", "/v1/documents", body)["documents"]
        except NotTaken as error:
            if len(batch) == 1:
                self._refuse(origin, batch[0], str(error), passed)
            for record in batch if len(batch) > 1 else ():
                self._send(origin, [record], passed)
            return
        for record, answer in zip(batch, answers, strict=True):
            if answer["status"] == "refused":
                self._refuse(origin, record, answer["why"], passed, violation=answer["violation"])
            elif answer["status"] == "kept":
                passed.kept += 1
            else:
                passed.unchanged += 1

    def _refuse(self, origin: Described, record: Read, why: str, passed: Passed, *, violation: bool = False) -> None:
        skipped = Skipped.of(record.key, why)
        self._refused[origin.name, record.key] = record.version, skipped, violation
        (passed.violations if violation else passed.skipped).append(skipped)
