"""The broker: news of every tenant's memory, published to NATS JetStream through the outbox.

At least once, under an id that is the same however often: an event is folded again, and a job is tried again, under
the id of its news.
"""

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from auditor.events import Recorded
from auditor.fold import Applied

from .jetstream import JetStream, NoBroker
from .jobs import Job
from .news import News, news_of
from .outbox import Outbox, TryFailed
from .telemetry import Counted

WORK = "broker"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is published: as a webhook's, but of a tenant. `id` is the message's, `event` the news', `at` in seconds."""

    id: str
    tenant: str
    event: str
    kind: str
    at: float
    details: object


def subject(tenant: str, kind: str) -> str:
    """Where news of a tenant goes. A name is one token, and no two names are the same one.

    >>> subject("acme-2", "captured"), subject("a.*", "captured")
    ('pointsman.acme-2.captured', 'pointsman.a%2E%2A.captured')
    """
    return f"pointsman.{quote(tenant, safe='').replace('.', '%2E')}.{kind}"


class Broker:
    """Owes the broker what happens, and tells it; `origin` names a tenant for everybody."""

    def __init__(self, stream: JetStream, origin: Callable[[str], str], published: Counted) -> None:
        self.stream, self._origin, self._published = stream, origin, published

    def observe(self, recorded: Recorded, applied: Applied, outbox: Outbox) -> None:
        """Owe what an event tells; not again when it is folded another time."""
        if not outbox.follows(WORK, recorded):
            return
        for news in news_of(recorded, applied):
            outbox.add(WORK, news.id, msgspec.to_builtins(news), recorded.seq)

    async def __call__(self, job: Job) -> None:
        """Raises TryFailed unless the stream acknowledged a job's news."""
        news = msgspec.convert(job.body, News)
        message = Message(
            id=f"{self._origin(news.tenant)}.{news.id}",
            tenant=news.tenant,
            event=news.id,
            kind=news.kind,
            at=news.at,
            details=news.details,
        )
        try:
            new = await self.stream.publish(subject(news.tenant, news.kind), msgspec.json.encode(message), message.id)
        except NoBroker as error:
            raise TryFailed(str(error)) from error
        self._published.labels("stored" if new else "repeated").inc()
