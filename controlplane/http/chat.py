"""The two calls that OpenAI's clients make: a completion, whole or streamed, and which models there are."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import msgspec
from litestar.params import JSONBody
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from ..chat import TRACE_ID, Asked
from ..contract import ChatBody, ListedModel, ModelList
from ..errors import PointsmanError
from ..intake import Intake
from ..llm.catalogue import AUTO
from ..llm.provider import Json, Reply
from .admission import AdmittedRequest
from .encoding import Encoded
from .problems import as_openai

STREAM = "text/event-stream"
CACHE = "x-pointsman-cache"
_encoder = msgspec.json.Encoder()
Pieces = AsyncGenerator[Json | Reply, None]


async def complete(request: AdmittedRequest, data: JSONBody[ChatBody]) -> ASGIResponse:
    """Have a model answer: the one that is named, or the one that the `chat` point chooses."""
    chat, intake, size = request.service.chat, request.service.intake, len(await request.body())
    body: Json = await request.json()  # with the fields that are not read
    asked = await chat.decide(request.caller, data, body, size)
    request.scope["state"]["asked"] = asked
    if data.stream:
        pieces = chat.stream(asked)
        with _outside(intake):
            first = await anext(pieces)  # an error before it is an answer of its own
        usage = bool(data.stream_options and data.stream_options.get("include_usage"))
        return _Streamed(first, pieces, intake, _told(request, asked), usage=usage)
    with _outside(intake):
        completion = await chat.complete(asked)
    headers = _told(request, asked) | ({CACHE: "hit"} if completion.kept else {})
    return Encoded(_encoder.encode(completion.reply.body), 200, headers)


async def models(request: AdmittedRequest) -> ModelList:
    """The models that may be named, first the choice among them."""
    known = request.service.chat.models.values()
    auto = (ListedModel(id=AUTO, owned_by="pointsman"),) if known else ()
    return ModelList(data=(*auto, *[ListedModel(id=model.name, owned_by=model.provider) for model in known]))


def _told(request: AdmittedRequest, asked: Asked) -> dict[str, str]:
    """Of the decision that led to the answer: the last one, where a model failed."""
    trace = {TRACE_ID: asked.trace_id} if asked.trace_id is not None else {}
    return (request.left.headers if request.left else {}) | trace


@contextmanager
def _outside(intake: Intake) -> Iterator[None]:
    """While somebody outside is waited for, it is no call under way."""
    intake.end()
    try:
        yield
    finally:
        intake.begin()


class _Streamed(ASGIResponse):
    """Chunks as they come; what breaks off is told in the stream, which then has no last mark."""

    __slots__ = ("_first", "_intake", "_pieces", "_sent", "_usage")

    def __init__(
        self, first: Json | Reply, pieces: Pieces, intake: Intake, headers: dict[str, str], *, usage: bool
    ) -> None:
        super().__init__(media_type=STREAM)
        self._first, self._pieces, self._intake, self._usage = first, pieces, intake, usage
        self._sent = [
            (b"content-type", STREAM.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        self._sent += [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self._sent})
        async with aclosing(self._events()) as events:
            async for event in events:
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _events(self) -> AsyncGenerator[bytes, None]:
        piece = self._first
        try:
            while not isinstance(piece, Reply):
                yield _event(piece)
                with _outside(self._intake):
                    piece = await anext(self._pieces)
        except PointsmanError as error:
            yield _event(as_openai(error))
            return
        if self._usage:
            yield _event(piece.body)
        yield b"data: [DONE]\n\n"


def _event(told: Any) -> bytes:
    return b"data: %s\n\n" % _encoder.encode(told)
