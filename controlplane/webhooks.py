"""Webhooks: news of a tenant's memory, sent as signed JSON to addresses that the tenant named, through the outbox."""

import asyncio
from collections.abc import Iterator

import msgspec

from auditor import Learner
from auditor.events import Recorded
from auditor.fold import Applied
from auditor.webhook_events import WebhookRemoved, WebhookSet

from .alarms import SIGNATURE, sign
from .clock import Clock
from .contract import NewWebhookAnswer, WebhookAnswer, WebhookRequest
from .errors import BadSetting, Conflict, NotFound, Unprocessable
from .ids import new_id
from .jobs import Job
from .journal import Journal
from .llm.addresses import Origin, Resolve, system_addresses
from .masking import without_secrets
from .news import KINDS, news_of
from .outbox import DEADLINE_S, Outbox, TryFailed
from .tenants import Caller, Registry
from .upstream import Upstream, UpstreamFailed

WORK, LABEL, PAGE = "webhook", "pointsman webhooks 1", 1000
MOST = 10  # webhooks of a tenant


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent: the same bytes with every try. `id` is the job's, `event` the news', `at` in seconds."""

    id: str
    webhook_id: str
    event: str
    kind: str
    at: float
    details: object


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of news as its job holds it."""

    webhook_id: str
    event: str
    kind: str
    at: float
    details: dict[str, object]


class Webhooks:
    """Every tenant's webhooks: a fold of the journal. Owes each what it is to be told, and tells it."""

    def __init__(
        self,
        learner: Learner,
        journal: Journal,
        registry: Registry,
        upstream: Upstream,
        clock: Clock,
        *,
        private: bool,
        resolve: Resolve = system_addresses,
    ) -> None:
        self._learner, self._journal, self._registry, self._clock = learner, journal, registry, clock
        self._upstream, self._private, self._resolve = upstream, private, resolve
        self._hooks: dict[str, tuple[int, WebhookSet]] = {}  # by id, with the place each was set at
        self._position = 0

    async def load(self) -> None:
        """Fold what the journal has; once, before the learner runs."""
        while page := await self._journal.read_access(self._position, PAGE):
            for recorded in page:
                self._fold(recorded)
            self._position = page[-1].seq

    def observe(self, recorded: Recorded, applied: Applied, outbox: Outbox) -> None:
        """Follow an event, and owe what it tells; not again when it is folded another time."""
        if recorded.seq > self._position:
            self._position = recorded.seq
            self._fold(recorded)
        if not outbox.follows(WORK, recorded):
            return
        hooks = list(self._of(recorded.event.tenant))
        for news in news_of(recorded, applied) if hooks else ():
            for place, hook in hooks:
                if recorded.seq > place and news.kind in (hook.kinds or KINDS):
                    about = f"{hook.webhook_id}/{news.id}"
                    owed = Owed(
                        webhook_id=hook.webhook_id, event=news.id, kind=news.kind, at=news.at, details=news.details
                    )
                    outbox.add(WORK, about, msgspec.to_builtins(owed), recorded.seq, among=f"{hook.webhook_id}/")

    def _fold(self, recorded: Recorded) -> None:
        match recorded.event:
            case WebhookSet() as event:
                self._hooks[event.webhook_id] = recorded.seq, event
            case WebhookRemoved() as event:
                self._hooks.pop(event.webhook_id, None)

    def _of(self, tenant: str) -> Iterator[tuple[int, WebhookSet]]:
        return (held for held in self._hooks.values() if held[1].tenant == tenant)

    async def __call__(self, job: Job) -> None:
        """Send a job's news; of a webhook that is no more there is nothing to do.

        Raises:
          TryFailed: the receiver did not take it (2xx), or its name leads where it may not.
        """
        owed = msgspec.convert(job.body, Owed)
        if owed.webhook_id not in self._hooks:
            return
        url = self._hooks[owed.webhook_id][1].url
        message = Message(id=job.job_id, **msgspec.structs.asdict(owed))
        body = msgspec.json.encode(message)
        signature = sign(self._key(owed.webhook_id), int(self._clock.now()), body)
        try:
            async with asyncio.timeout(DEADLINE_S):
                [address, *_] = await Origin(url, keyed=not self._private).addresses(self._resolve)
            await self._upstream.tell(url, body, {SIGNATURE: signature}, address)
        except UpstreamFailed as failed:
            raise TryFailed(failed.brief) from failed
        except (OSError, BadSetting) as refused:
            raise TryFailed("its host has no address that may be connected to") from refused

    async def set(self, caller: Caller, request: WebhookRequest, outbox: Outbox) -> NewWebhookAnswer:
        """Have an address told from here on; the secret is in this answer and nowhere else.

        Raises:
          Unprocessable: no message may go there, or there is no such kind of news.
          Conflict: the tenant has as many as it may.
        """
        self._refuse_address(request.url)
        if unknown := sorted(set(request.kinds) - KINDS.keys()):
            raise Unprocessable(f"kinds has {', '.join(map(repr, unknown))}; it takes {', '.join(KINDS)}")
        if len(list(self._of(caller.tenant))) >= MOST:
            raise Conflict(f"a tenant has {MOST} webhooks at most; remove one first")
        event = WebhookSet(
            tenant=caller.tenant,
            at=self._clock.now(),
            webhook_id=new_id("wh"),
            url=request.url,
            kinds=request.kinds,
            by=caller.key_id,
        )
        await self._learner.reached(await self._journal.append(event))
        shown = self._answer(event, outbox)
        return NewWebhookAnswer(**msgspec.structs.asdict(shown), secret=self._key(event.webhook_id).hex())

    def all(self, tenant: str, outbox: Outbox) -> list[WebhookAnswer]:
        """The tenant's webhooks, oldest first."""
        return [self._answer(hook, outbox) for _, hook in self._of(tenant)]

    async def remove(self, caller: Caller, webhook_id: str) -> None:
        """Tell it nothing any more.

        Raises:
          NotFound: this tenant has no such webhook.
        """
        if webhook_id not in {hook.webhook_id for _, hook in self._of(caller.tenant)}:
            raise NotFound("No webhook has this id; GET /v1/webhooks lists them.")
        at, by = self._clock.now(), caller.key_id
        removed = WebhookRemoved(tenant=caller.tenant, at=at, webhook_id=webhook_id, by=by)
        await self._learner.reached(await self._journal.append(removed))

    def _refuse_address(self, url: str) -> None:
        """What is refused is not quoted: it may hold a secret. What is kept is shown, and messages are signed."""
        try:
            origin = Origin(url, keyed=not self._private)
        except (BadSetting, ValueError) as error:
            said = "url takes https://HOST/PATH, without user, password and query, of a host that messages may go to"
            raise Unprocessable(said) from error
        if without_secrets(url) != url:
            raise Unprocessable("url holds what looks like a secret, which would be shown; messages are signed instead")
        if origin.private and not self._private:
            raise Unprocessable("url leads into a private network; an operator can allow that (webhooks_private)")

    def _key(self, webhook_id: str) -> bytes:
        return self._registry.derived(f"{LABEL} {webhook_id}")

    def _answer(self, hook: WebhookSet, outbox: Outbox) -> WebhookAnswer:
        waiting = [job for job in outbox.jobs.open.values() if job.about.startswith(f"{hook.webhook_id}/")]
        return WebhookAnswer(
            webhook_id=hook.webhook_id,
            url=hook.url,
            kinds=hook.kinds,
            created_at=hook.at,
            by=hook.by,
            waiting=len(waiting),
            failing=next((job.why for job in waiting if job.why is not None), None),
        )
