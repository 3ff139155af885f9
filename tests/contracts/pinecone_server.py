"""A small server that speaks as much of Pinecone's HTTP API as its client is asked for here. It searches exactly."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

KEY = "pc-a-key-of-tests"
Json = dict[str, Any]


class Index:
    """What one index holds, by namespace and id."""

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.records: dict[str, dict[str, Json]] = defaultdict(dict)
        self.away = False
        self.lock = threading.Lock()

    def answer(self, method: str, path: str, asked: dict[str, list[str]], body: Json) -> Json:
        """Raises KeyError: there is no such call, or namespace."""
        held = self.records.get(body.get("namespace") or asked.get("namespace", [""])[0], {})
        match method, path:
            case "POST", "/vectors/upsert":
                for vector in body["vectors"]:
                    assert len(vector["values"]) == self.dimension
                    self.records[body.get("namespace", "")][vector["id"]] = vector
                return {"upsertedCount": len(body["vectors"])}
            case "POST", "/query":
                return {"matches": self._nearest(held, body), "namespace": body["namespace"], "usage": {"readUnits": 1}}
            case "GET", "/vectors/fetch":
                return {"vectors": {key: held[key] for key in asked["ids"] if key in held}, "namespace": ""}
            case "POST", "/vectors/delete":
                if body["namespace"] not in self.records:
                    raise KeyError(body["namespace"])
                if body.get("deleteAll"):
                    del self.records[body["namespace"]]
                for key in body.get("ids", ()):
                    held.pop(key, None)
                return {}
            case "POST", "/vectors/update":
                held[body["id"]]["metadata"] |= body["setMetadata"]
                return {}
            case "POST", "/describe_index_stats":
                return {"namespaces": {}, "dimension": self.dimension, "indexFullness": 0.0, "totalVectorCount": 0}
            case "GET", "/namespaces":
                prefix = asked.get("prefix", [""])[0]
                named = [{"name": name, "record_count": len(of)} for name, of in self.records.items()]
                return {"namespaces": [of for of in named if of["name"].startswith(prefix)]}
            case "GET", "/vectors/list":
                return {"vectors": [{"id": key} for key in held], "namespace": ""}
        raise KeyError(path)

    def _nearest(self, held: dict[str, Json], body: Json) -> list[Json]:
        query = np.array(body["vector"])
        scored = [{"id": key, "score": float(np.array(of["values"]) @ query), **of} for key, of in held.items()]
        return sorted(scored, key=lambda one: -one["score"])[: body["topK"]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # an answer is sent at once, or its client waits for the second part
    index: Index

    def _handle(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        url = urlsplit(self.path)
        if self.index.away:
            self._send(503, {"message": "away"})
        elif self.headers["Api-Key"] != KEY:
            self._send(401, {"message": "invalid API key"})
        else:
            try:
                with self.index.lock:
                    answer = self.index.answer(self.command, unquote(url.path), parse_qs(url.query), body)
                self._send(200, answer)
            except KeyError as missing:
                self._send(404, {"code": 5, "message": f"no {missing}", "details": []})

    do_GET = do_POST = do_DELETE = _handle  # as the base class calls them

    def _send(self, status: int, answer: Json) -> None:
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def pinecone(dimension: int) -> Iterator[tuple[str, Index]]:
    """Where an empty index of a dimension is, and what it holds."""
    index = Index(dimension)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": index}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
