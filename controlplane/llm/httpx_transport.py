"""The way over httpx, for calls that nobody waits for."""

import ssl

import httpx

from .addresses import Origin, Resolve, system_addresses
from .provider import Kind, ProviderFailed
from .transport import CONNECT_S, MOST_UNDER_WAY, Request, Sink


class HttpxTransport:
    """One client, for one base URL."""

    def __init__(self, origin: Origin, resolve: Resolve = system_addresses) -> None:
        self._origin, self._resolve = origin, resolve
        self._url = httpx.URL(origin.url)
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(),  # what the machine trusts, not what httpx brings
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=MOST_UNDER_WAY),
        )

    async def exchange(self, request: Request, sink: Sink) -> None:
        """Send the request and hand the answer to the sink.

        Raises:
          ProviderFailed: it did not come whole; the sink's own are passed on.
        """
        begun = False
        try:
            async with self._http.stream(
                "POST",
                self._url.copy_with(host=await self._address(), path=self._url.path.rstrip("/") + request.path),
                content=request.body,
                headers={**request.headers, "Host": self._url.netloc.decode("ascii")},
                timeout=httpx.Timeout(sink.left_s, connect=min(CONNECT_S, sink.left_s)),
                extensions={"sni_hostname": self._origin.host},  # whose certificate is asked for
            ) as answer:
                sink.head(answer.status_code, answer.headers)
                begun = True
                async for part in answer.aiter_raw():
                    sink.part(part)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, OSError) as error:
            raise ProviderFailed("connect", retryable=True) from error
        except httpx.TimeoutException as error:
            raise ProviderFailed("timeout", retryable=True, billed=True) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ProviderFailed(_kind(error, begun=begun), retryable=True, billed=True) from error

    async def close(self) -> None:
        await self._http.aclose()

    async def _address(self) -> str:
        """The host as it is, or one of its addresses: the one that was looked at is the one connected to."""
        return (await self._origin.addresses(self._resolve))[0]


def _kind(error: Exception, *, begun: bool) -> Kind:
    """A peer that hangs up and a peer that speaks no HTTP are one error to httpx; the first says so."""
    if begun:
        return "cut_stream"
    hung_up = not isinstance(error, httpx.RemoteProtocolError) or "disconnected" in str(error)
    return "connect" if hung_up else "garbled"
