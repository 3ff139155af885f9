"""The server, as a backfill asks it: with patience for one that is starting, busy or counts calls."""

from collections.abc import Callable
from typing import Any, NamedTuple

import httpx

TIMEOUT_S, TRIES, LONGEST_WAIT_S = 120.0, 5, 60.0
LOADING, LOADED_WITHIN_S = "embedder_loading", 600.0  # how long a server may take to load its memory


class ServerRefused(Exception):
    """The server does not do it, or does not answer; the message says why."""


class NotTaken(ServerRefused):
    """What was sent is out of bounds: of the server, or of what stands before it."""


class Refusal(NamedTuple):
    """What was said, and after how many seconds it may be tried again, if it helps."""

    why: str
    again_s: float | None
    loads: bool = False


class Server:
    """A tenant's calls. `wait` lets so many seconds pass, and says whether to go on."""

    def __init__(self, url: str, key: str, wait: Callable[[float], bool]) -> None:
        self._client = httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=TIMEOUT_S)
        self._wait = wait

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The answer, which may be None; a server that still loads its memory is waited for.

        Raises:
          NotTaken: the body is too large, or something in it is out of bounds.
          ServerRefused: after TRIES where trying again can help.
        """
        tried, loading_s = 0, 0.0
        while True:
            try:
                answer = self._client.request(method, path, json=body, params=query)
                if answer.is_success:
                    return answer.json() if answer.content else None
                if answer.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
                    raise NotTaken("it is larger than the server takes")
                refused = _refusal(answer)
                if answer.status_code == httpx.codes.BAD_REQUEST:
                    raise NotTaken(refused.why)
            except (httpx.HTTPError, ValueError) as error:
                refused = Refusal(f"no server answers ({type(error).__name__})", 2.0**tried)
            wait_s = min(refused.again_s or 0.0, LONGEST_WAIT_S)
            if refused.loads and loading_s < LOADED_WITHIN_S:
                loading_s += wait_s
            else:
                tried += 1
            if refused.again_s is None or tried == TRIES or not self._wait(wait_s):
                raise ServerRefused(refused.why)

    def close(self) -> None:
        self._client.close()


def _refusal(answer: httpx.Response) -> Refusal:
    said = answer.json()
    after_s = float(answer.headers.get("Retry-After", 1)) if said.get("retryable") else None
    return Refusal(str(said.get("detail", said)), after_s, loads=said.get("code") == LOADING)
