"""The ASGI application: routes, problem documents, the docs page, and the service's life around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components
from litestar.static_files import create_static_files_router

from . import __version__
from .errors import PointsmanError
from .http.access import SCHEMES
from .http.admission import MAX_BODY, AdmittedRequest
from .http.problems import HANDLERS
from .http.routes import handlers
from .service import Service
from .settings import Settings

ASSETS = "/docs/assets"
FILES = Path(__file__).parent / "http" / "assets"


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
        route_handlers=[
            *handlers(),
            create_static_files_router(ASSETS, [Path(__file__).parent / "http" / "assets"], include_in_schema=False),
        ],
        lifespan=[lifespan],
        request_class=AdmittedRequest,
        request_max_body_size=MAX_BODY,
        exception_handlers=HANDLERS,
        openapi_config=_openapi(),
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    page = SwaggerRenderPlugin(
        path="/",
        favicon="<link rel='icon' href='data:,'>",
        js_url=f"{ASSETS}/swagger-ui-bundle.js",
        css_url=f"{ASSETS}/swagger-ui.css",
        standalone_preset_js_url=f"{ASSETS}/swagger-ui-standalone-preset.js",
    )
    return OpenAPIConfig(
        title="Pointsman",
        version=__version__,
        path="/docs",
        render_plugins=[page],
        components=Components(security_schemes=dict(SCHEMES)),
    )
