"""The ASGI application: routes, problem documents, the docs page, and the service's life around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar import Litestar

from .errors import PointsmanError
from .http.admission import MAX_BODY, AdmittedRequest
from .http.page import asset, openapi
from .http.problems import HANDLERS
from .http.routes import handlers
from .service import Service
from .settings import Settings


def create_app(settings: Settings) -> Litestar:
    """An application that opens its service when it starts and closes it when it stops.

    A start that is refused leaves its reason in `state.refusal`.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        try:
            app.state.service = service = await Service.open(settings)
        except PointsmanError as refusal:
            app.state.refusal = refusal
            raise
        try:
            yield
        finally:
            await service.close()

    return Litestar(
        route_handlers=[*handlers(), asset],
        lifespan=[lifespan],
        request_class=AdmittedRequest,
        request_max_body_size=MAX_BODY,
        exception_handlers=HANDLERS,
        openapi_config=openapi(),
        logging_config=None,
    )
