"""The ASGI application: routes, problem documents, the docs page, and the service's life around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import LifeSpanReceive, LifeSpanScope, LifeSpanSend, Receive, Scope, Send

from .errors import PointsmanError
from .http.admission import MAX_BODY, AdmittedRequest
from .http.page import asset, openapi
from .http.problems import HANDLERS
from .http.request_log import LABEL, RequestLog
from .http.routes import handlers
from .service import Service
from .settings import Settings


class Application(Litestar):
    """Ours: each request gets its id, and is logged if it is due."""

    service: Service
    requests: RequestLog

    def take(self, service: Service) -> None:
        """Answer with this service from here on."""
        self.service = service
        key = service.registry.derived(LABEL)
        self.requests = RequestLog(service.settings.request_log, key, service.clock, service.intake)

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """The server calls this, for requests and for its own life."""
        if scope["type"] == ScopeType.HTTP:
            await self.requests.serve(super().__call__, scope, receive, send)  # type: ignore[arg-type]
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings) -> Application:
    """An application that opens its service when it starts and closes it when it stops.

    A start that is refused leaves its reason in `state.refusal`.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        try:
            service = await Service.open(settings)
            made.take(service)
        except PointsmanError as refusal:
            app.state.refusal = refusal
            raise
        try:
            yield
        finally:
            await service.close()

    made = Application(
        route_handlers=[*handlers(), asset],
        lifespan=[lifespan],
        request_class=AdmittedRequest,
        request_max_body_size=MAX_BODY,
        exception_handlers=HANDLERS,
        openapi_config=openapi(),
        logging_config=None,
    )
    return made
