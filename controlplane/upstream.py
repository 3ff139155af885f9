"""Asking a service outside: one deadline for the whole exchange, a bounded answer, and no cancellation.

httpx bounds each read, so a server that drips a byte at a time would never be late; and a request that is
cancelled can leave its place in the connection pool taken for ever. So an exchange runs in a task of its
own, ends by itself, and whoever asked stops waiting for it when the time is up.
"""

import asyncio
from collections.abc import Mapping
from typing import Literal, TypeVar

import httpx
import msgspec

T = TypeVar("T")
MAX_ANSWER = 64 * 1024
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}  # nothing to inflate
NONE: Mapping[str, str] = {}


class UpstreamFailed(Exception):
    """The service gave no usable answer in time; `brief` says why without its address, which may hold a secret."""

    def __init__(self, message: str, brief: str | None = None) -> None:
        super().__init__(message)
        self.brief = brief or message


class Upstream:
    """One outside service."""

    def __init__(self, http: httpx.AsyncClient, *, deadline_s: float) -> None:
        self._http, self._deadline_s = http, deadline_s
        self._exchanges: set[asyncio.Task[bytes]] = set()  # the loop itself keeps tasks only weakly

    async def ask(self, method: Literal["GET", "POST"], url: str, answer: type[T], body: bytes | None = None) -> T:
        """The service's answer, decoded.

        Raises:
          UpstreamFailed: there was none within the deadline, or it is not what was asked for.
        """
        content = await self._content(method, url, body)
        try:
            return msgspec.json.decode(content, type=answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise UpstreamFailed(f"the answer is no {answer.__name__}: {error}") from error

    async def tell(self, url: str, body: bytes, headers: Mapping[str, str], address: str | None = None) -> None:
        """Post something, to the host at this address where one is given; what is answered does not matter.

        Raises:
          UpstreamFailed: it was not taken (2xx) within the deadline.
        """
        await self._content("POST", url, body, headers, address)

    async def _content(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str] = NONE,
        address: str | None = None,
    ) -> bytes:
        given = {**HEADERS, **headers}
        exchange = asyncio.create_task(self._exchange(method, url, body, given, address), name="upstream")
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._ended)
        await asyncio.wait({exchange}, timeout=self._deadline_s)
        if not exchange.done():
            raise UpstreamFailed(f"no whole answer within {self._deadline_s:g} s")
        if (error := exchange.exception()) is not None:  # of whatever kind: the client, its transport, the address
            raise UpstreamFailed(f"{type(error).__name__}: {error}", _brief(error)) from error
        return exchange.result()

    def _ended(self, exchange: "asyncio.Task[bytes]") -> None:
        self._exchanges.discard(exchange)
        if not exchange.cancelled():
            exchange.exception()  # whoever waited was told; nobody waiting any more is no reason to warn

    def _request(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], address: str | None
    ) -> httpx.Request:
        """Of a host that is known by its address, so that the one that was looked at is the one connected to."""
        place, named = httpx.URL(url), {}
        if address is not None:
            headers["Host"], named = place.netloc.decode("ascii"), {"sni_hostname": place.host}
            place = place.copy_with(host=address)
        return self._http.build_request(
            method, place, content=body, headers=headers, timeout=self._deadline_s, extensions=named
        )

    async def _exchange(
        self, method: str, url: str, body: bytes | None, headers: dict[str, str], address: str | None
    ) -> bytes:
        loop = asyncio.get_running_loop()
        ends, answer = loop.time() + self._deadline_s, b""
        response = await self._http.send(self._request(method, url, body, headers, address), stream=True)
        try:
            response.raise_for_status()
            async for part in response.aiter_raw():
                answer += part
                if len(answer) > MAX_ANSWER or loop.time() > ends:
                    raise UpstreamFailed("the answer is too long, or too long in coming")
        finally:
            await response.aclose()
        return answer


def _brief(error: BaseException) -> str:
    match error:
        case httpx.HTTPStatusError():
            return f"it answered {error.response.status_code}"
        case UpstreamFailed():
            return error.brief
    return type(error).__name__
