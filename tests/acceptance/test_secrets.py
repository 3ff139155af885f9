"""Secrets in every place they can be put at: none is found again in a log, an answer, a metric, a setting or a file."""

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from controlplane.settings import PROVIDER_KEYS

from ..integration.conftest import catalogue_of
from .test_first_keys import Keyed

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., Keyed]
Until = Callable[[Callable[[], Any]], Any]
SECRETS = {
    name: f"cAnArY{name}0123456789" for name in ("password", "query", "header", "cookie", "bearer", "path", "provider")
}
PLAN = {"planned_action": "ls", "goal": "look"}
READ = ("/status", "/v1/skills", "/v1/checkpoints", "/metrics", "/readyz", "/nowhere", "/v1/admin/keys")
CHAT = {"model": "pointsman/auto", "messages": [{"role": "user", "content": "hello"}]}
CANDIDATES = {"candidates": [{"provider": "a", "sku": "1"}, {"provider": "b", "sku": "2"}]}


class Failing(BaseHTTPRequestHandler):
    """An outside service that refuses, so that its address gets into an error."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def outside() -> Iterator[str]:
    """Where a failing service is, with a password and a token in its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield (
            f"http://ann:{SECRETS['password']}@127.0.0.1:{server.server_address[1]}/x?api_key={SECRETS['query']}&at="
        )
        server.shutdown()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that want keys, each stopped at the end of the test however it ends."""
    with ExitStack() as running:

        def begin(folder: Path, **variables: str) -> Keyed:
            return running.enter_context(closing(Keyed(folder, **variables)))

        yield begin


def hostile(url: str, keyed: Keyed) -> list[str]:
    """Calls of many kinds with secrets wherever a request has room for one; all that was answered."""
    sent = {
        "Authorization": f"Bearer {SECRETS['bearer']}",
        "Cookie": f"session={SECRETS['cookie']}",
        "X-Forwarded-Authorization": SECRETS["header"],
        "X-Api-Token": SECRETS["header"],
    }
    wrong = {**sent, "X-API-Key": f"pm_live_{SECRETS['header']}", "X-Admin-API-Key": SECRETS["header"]}
    right = {**sent, "X-API-Key": keyed.tenant, "X-Admin-API-Key": keyed.admin}
    query = f"?api_key={SECRETS['query']}&token={keyed.tenant}"
    heard = []
    with httpx.Client(base_url=url, timeout=60) as client:
        for headers in (wrong, right):
            heard += [client.get(path + query, headers=headers) for path in READ]
            for body in (PLAN, CANDIDATES, {"nonsense": 1}, {}):
                heard.append(client.post("/v1/decisions" + query, json=body, headers=headers))
            heard.append(client.post("/v1/decisions" + query, content=b"{", headers=headers))
            heard.append(client.post("/v1/chat/completions" + query, json=CHAT, headers=headers))
            heard.append(client.post("/v1/checkpoints" + query, headers=headers))
        traces = re.findall(r"tr_[0-9a-f]{32}", "".join(answer.text for answer in heard))
        assert traces
        for trace in traces:
            heard += [client.get(f"/v1/decisions/{trace}{rest}", headers=right) for rest in ("", "/why")]
    return [answer.text + str(answer.headers) for answer in heard]


def test_no_secret_is_found_again(tmp_path: Path, cli: Cli, outside: str, start: Start, until: Until) -> None:
    variables = {"POINTSMAN_PSI_URL": outside, "POINTSMAN_ROUTER_URL": outside, "POINTSMAN_CACHE_TTL_S": "0.001"}
    variables["POINTSMAN_ALARM_URL"] = outside.replace("/x?", f"/{SECRETS['path']}?")
    elsewhere = outside.removeprefix("http://").partition("/")[0]  # what answers there is no Redis, and says so
    variables["POINTSMAN_REDIS_URL"] = f"redis://{elsewhere}/0?client_name={SECRETS['query']}"
    variables["POINTSMAN_VECTORS_URL"] = f"postgresql://ann:{SECRETS['password']}@127.0.0.1:1/x"
    variables["POINTSMAN_VECTORS"] = "pgvector"
    variables |= {"POINTSMAN_RECOVERY_INTERVAL_S": "3", "POINTSMAN_FAILPOINTS": "recovery.prune:error@1"}  # an alarm
    variables |= {"POINTSMAN_LOG_LEVEL": "info", "POINTSMAN_REQUEST_LOG": "all"}
    variables["POINTSMAN_CATALOGUE"] = str(catalogue_of(tmp_path / "models", "small"))
    variables |= {f"POINTSMAN_{name.upper()}": SECRETS["provider"] for name in PROVIDER_KEYS}
    variables["POINTSMAN_OPENAI_BASE_URL"] = f"http://{outside.partition('@')[2].partition('/')[0]}/v1"
    keyed = start(tmp_path / "data", **variables)
    answers = hostile(keyed.url, keyed)
    keys = {"POINTSMAN_API_KEY": keyed.tenant, "POINTSMAN_ADMIN_API_KEY": keyed.admin}
    shown = [cli("config", "show", **variables, **keys), cli("config", "show", "--json", **variables, **keys)]
    shown += [cli("doctor", **variables, **keys), cli("keys", "list", "--url", keyed.url, **keys)]
    shown += [cli("decide", "ls", "--url", outside, **keys), cli("config", "check", POINTSMAN_PORT="x", **keys)]
    for name in ("POINTSMAN_DATABASE_URL", "POINTSMAN_VECTORS_URL"):
        url = f"postgresql://ann:{SECRETS['password']}/{SECRETS['query']}@127.0.0.1:1/x"
        shown += [cli("config", "check", **{name: url})]
    shown += [cli("doctor", **keys, POINTSMAN_DATABASE_URL=variables["POINTSMAN_VECTORS_URL"])]
    until(lambda: "job_failed" in keyed.logged)
    logged = keyed.close()
    assert '"why": "it answered 401"' in logged, "an alarm was sent and refused"
    assert logged.count('"event": "request"') > 20
    assert "router_failed" in logged, "the address did get into an error"
    assert "signal_source_failed" in logged
    assert "redis_away" in logged
    assert "vectors_unavailable" in logged
    files = [(str(file), file.read_bytes()) for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert len(files) > 4
    commands = "".join(done.stdout + done.stderr for done in shown)
    told = {"log": logged, "answers": "".join(answers), "commands": commands}
    keys_alone = [key.split("_")[3][:32] for key in (keyed.admin, keyed.tenant)]
    secrets = [*SECRETS.values(), keyed.admin, keyed.tenant, *keys_alone]
    assert [(where, secret) for where, text in told.items() for secret in secrets if secret in text] == []
    for secret in map(str.encode, secrets):
        for form in (secret, base64.b64encode(secret)[:-4], secret.hex().encode(), secret[::-1]):
            assert [name for name, content in files if form in content] == []


def test_every_line_of_the_log_is_one_event(tmp_path: Path, outside: str, start: Start) -> None:
    """What other libraries say too, and whatever line ends a request has in it."""
    requests = {"POINTSMAN_LOG_LEVEL": "info", "POINTSMAN_REQUEST_LOG": "all"}
    keyed = start(tmp_path / "data", POINTSMAN_ROUTER_URL=outside, **requests)
    hostile(keyed.url, keyed)
    for path in ("/%0a%0d%0afaked", "/v1/points/%0a%7b%22level%22%3a%22info%22%7d/policy", "/%1b[31m"):
        httpx.get(keyed.url + path, headers={"X-Request-Id": "a"})
    with httpx.Client(base_url=keyed.url) as client:
        for _ in range(300):
            client.request("BREW", "/status")
    lines = keyed.close().splitlines()
    events = [json.loads(line) for line in lines]
    assert all({"event", "level", "timestamp"} <= event.keys() for event in events)
    assert 1 < sum(event["event"].startswith("Invalid HTTP request received.") for event in events) < 150
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", "".join(lines))
