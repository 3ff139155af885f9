"""The server, as a backfill asks it: with patience for one that is starting, busy or counts calls."""

from collections.abc import Callable
from typing import Any

import httpx

TIMEOUT_S, TRIES, LONGEST_WAIT_S = 120.0, 5, 60.0


class ServerRefused(Exception):
    """The server does not do it, or does not answer; the message says why."""


class Server:
    """A tenant's calls. `wait` lets so many seconds pass, and says whether to go on."""

    def __init__(self, url: str, key: str, wait: Callable[[float], bool]) -> None:
        self._client = httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=TIMEOUT_S)
        self._wait = wait

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The answer, which may be None.

        Raises:
          ServerRefused: after TRIES where trying again can help.
        """
        for tried in range(TRIES):
            try:
                answer = self._client.request(method, path, json=body, params=query)
                if answer.is_success:
                    return answer.json() if answer.content else None
                why, again = _refusal(answer)
            except (httpx.HTTPError, ValueError) as error:
                why, again = f"no server answers ({type(error).__name__})", 2.0**tried
            if again is None or tried + 1 == TRIES or not self._wait(min(again, LONGEST_WAIT_S)):
                break
        raise ServerRefused(why)

    def close(self) -> None:
        self._client.close()


def _refusal(answer: httpx.Response) -> tuple[str, float | None]:
    """What was said, and after how many seconds it may be tried again, if it helps."""
    said = answer.json()
    after = float(answer.headers.get("Retry-After", 1))
    return str(said.get("detail", said)), after if said.get("retryable") else None
