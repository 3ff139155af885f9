"""The documentation page, and the files it loads, by name: no path of the disk can be asked for."""

import functools
from pathlib import Path

from litestar import get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import SwaggerRenderPlugin
from litestar.openapi.spec import Components
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from .. import __version__
from ..errors import UnknownPath
from .access import SCHEMES

ASSETS = "/docs/assets"
_FOLDER = Path(__file__).parent / "assets"
_KINDS = {".js": "text/javascript", ".css": "text/css"}


@functools.cache
def _files() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in _FOLDER.iterdir()}


@get(f"{ASSETS}/{{name:str}}", include_in_schema=False, sync_to_thread=False)
def asset(name: FromPath[str]) -> ASGIResponse:
    """One of the page's own files."""
    if name not in _files():
        raise UnknownPath
    kind = _KINDS.get(Path(name).suffix, "text/plain")
    return ASGIResponse(body=_files()[name], media_type=kind, headers={"Cache-Control": "max-age=3600"})


def openapi() -> OpenAPIConfig:
    """Where the page and the document are, and how keys are sent."""
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
