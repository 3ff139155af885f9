"""Alarms: what an operator should hear of without looking, sent as signed JSON to `alarm_url` through the outbox."""

import hmac
from collections.abc import Mapping

import msgspec

from auditor.events import Recorded, Reported, Validated
from auditor.fold import Applied

from .clock import Clock
from .jobs import Job
from .masking import without_secrets
from .outbox import Outbox, TryFailed
from .upstream import Upstream, UpstreamFailed

# Every alarm there is, and what it says. docs/operations.md has the same table.
ALARMS = {
    "value_drifted": "an action's rewards left their usual level",
    "budget_near": "more than 80 % of a limit on spending is used",
    "reports_withheld": "a key reported more than its share; what is beyond is logged, not learnt",
    "recovery_file_damaged": "a recovery file is not what was written; another took its place",
    "recovery_file_not_written": "the last recovery file could not be written",
    "recovery_file_written": "recovery files can be written again",
    "journal_in_trouble": "the journal cannot be written: writes are refused",
    "journal_healed": "the journal can be written again",
    "redis_away": "Redis does not answer: each replica counts its share of the limits, and nothing is cached there",
    "redis_back": "Redis answers again",
    "shedding_began": "more calls come in than are answered in time; some are refused",
    "shedding_ended": "no call is refused for that any more",
    "part_failed": "a part that must run has failed; a restart is needed",
    "lease_given_up": "a replica that led failed, or could not publish, and lets another lead",
}
PAIRS = {  # a thing that can be wrong -> what is said when it is, and when it is no longer
    "journal": ("journal_in_trouble", "journal_healed"),
    "recovery": ("recovery_file_not_written", "recovery_file_written"),
    "redis": ("redis_away", "redis_back"),
    "shedding": ("shedding_began", "shedding_ended"),
}
CALM_S = 10.0  # for which a thing has to be right again until that is said
QUIET_S = 3600.0  # in which one thing that happened again and again is told once
WORK, SIGNATURE, LABEL = "alarm", "X-Pointsman-Signature", "pointsman alarms 1"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: the same bytes with every try. `at` is in seconds since the epoch."""

    id: str
    alarm: str
    at: float
    means: str
    details: object


def sign(key: bytes, at: int, body: bytes) -> str:
    """The header a message is sent with: when, and HMAC-SHA256 over `<when>.<body>`."""
    return f"t={at},v1={hmac.new(key, b'%d.%b' % (at, body), 'sha256').hexdigest()}"


class Sender:
    """Sends an alarm's job to the operator's address."""

    def __init__(self, url: str, key: bytes, upstream: Upstream, clock: Clock) -> None:
        self._url, self._key, self._upstream, self._clock = url, key, upstream, clock

    async def __call__(self, job: Job) -> None:
        """Raises TryFailed unless the receiver took it (2xx)."""
        said = msgspec.convert(job.body, Said)
        body = msgspec.json.encode(
            Message(id=job.job_id, alarm=said.alarm, at=job.at, means=ALARMS.get(said.alarm, ""), details=said.details)
        )
        try:
            await self._upstream.tell(self._url, body, {SIGNATURE: sign(self._key, int(self._clock.now()), body)})
        except UpstreamFailed as failed:
            raise TryFailed(failed.brief) from failed


class Said(msgspec.Struct, frozen=True):
    """An alarm as its job holds it."""

    alarm: str
    details: dict[str, object]


class Alarms:
    """Raises alarms: of what events say, and of what is wrong with the server itself."""

    def __init__(self, outbox: Outbox, clock: Clock) -> None:
        self._outbox, self._clock = outbox, clock
        self._wrong: dict[str, float] = {}  # what is wrong, and when it was last seen to be

    def observe(self, recorded: Recorded, applied: Applied) -> None:
        """Raise what a folded event says, unless it was raised when the event was folded for the first time."""
        event, seq = recorded.event, recorded.seq
        if not self._outbox.follows(WORK, recorded):
            return
        for drift in applied.alarms:
            about = f"{event.tenant}/{drift.point}/{drift.action}"
            self._once("value_drifted", about, {"tenant": event.tenant, **msgspec.structs.asdict(drift)}, seq)
        for use in applied.near:
            scope, tenant, name = use.limit.place
            details: dict[str, object] = {"scope": scope, "tenant": tenant or None, "name": name or None}
            details |= {"period": use.limit.period, "limit_usd": use.limit.nano_usd / 1e9, "spent_usd": use.spent / 1e9}
            self._once("budget_near", f"{scope}/{tenant}/{name}/{use.limit.period}/{use.key}", details, seq)
        if isinstance(event, Reported | Validated) and not event.counts:
            self._once(
                "reports_withheld", f"{event.tenant}/{event.by}", {"tenant": event.tenant, "key_id": event.by}, seq
            )

    def damaged(self, file: str) -> None:
        """Raise that a recovery file is damaged."""
        self._once("recovery_file_damaged", file, {"file": file})

    def given_up(self, replica: str, why: str) -> None:
        """Raise that a replica, named by its host and port, does not lead any more."""
        self._once("lease_given_up", replica, {"replica": replica, "why": why})

    def look(self, wrong: Mapping[str, str | None]) -> None:
        """Raise what began and what is over: `wrong` has why each thing is wrong, or None. Other things are parts."""
        now = self._clock.monotonic()
        for thing, why in wrong.items():
            began, over = PAIRS.get(thing, ("part_failed", None))
            if why is not None:
                if thing not in self._wrong:
                    self._raise(began, thing, {"about": thing, "why": without_secrets(why)})
                self._wrong[thing] = now
            elif over and thing in self._wrong and now - self._wrong[thing] >= CALM_S:
                del self._wrong[thing]
                self._raise(over, thing, {"about": thing})

    def _once(self, alarm: str, about: str, details: Mapping[str, object], cause: int = 0) -> None:
        last = self._outbox.jobs.added_at(WORK, f"{alarm} {about}")
        if last is None or not 0.0 <= self._clock.now() - last < QUIET_S:  # it may lie ahead of a clock set back
            self._raise(alarm, about, details, cause)

    def _raise(self, alarm: str, about: str, details: Mapping[str, object], cause: int = 0) -> None:
        self._outbox.add(WORK, f"{alarm} {about}", {"alarm": alarm, "details": details}, cause)
