"""Requests drawn from the OpenAPI document (schemathesis): each answer is one it knows, and none is a defect.

It sends what the schema allows and what it forbids, leaves out keys and bodies, tries other methods and media types,
and follows answers into further calls. The one check left out, that valid data is accepted, is more than a schema can
say: numbers beyond 2^53, NUL characters, empty or doubled candidates are refused (test_bad_input.py).
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from controlplane.http.admission import OPENAI

Serve = Models = Any
ENDINGS = "/v1/admin/keys/"  # rotate and revoke: drawn among the rest they would end the key that is sent
FEW, MANY = 3, 480  # drawn per call; what the schema's edges give comes on top


class Run(NamedTuple):
    """Which calls are drawn from, how many requests come of it at least, and how many operations that are."""

    paths: Sequence[str]
    examples: int
    least: int
    operations: int


ALL_BUT_ENDINGS, KEYS_ALONE = ("--exclude-path-regex", ENDINGS), ("--include-path-regex", "/v1/admin/keys")
RUNS = [
    Run(ALL_BUT_ENDINGS, FEW, 1000, 76),
    Run(KEYS_ALONE, FEW, 100, 4),
    pytest.param(Run(ALL_BUT_ENDINGS, MANY, 10_000, 76), marks=pytest.mark.nightly),
    pytest.param(Run(KEYS_ALONE, MANY, 1000, 4), marks=pytest.mark.nightly),
]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run.least} requests to {run.operations} operations")
def test_no_request_drawn_from_the_document_meets_a_defect_or_an_answer_that_is_not_in_it(
    serve: Serve, models: Models, run: Run, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed")
    print(f"seed {seed}")
    server = serve(insecure_local=False, **models.settings)
    keys = server.service.first_keys
    fill(server, {"X-API-Key": keys.tenant})
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/docs/openapi.json"),
            *("--header", f"X-API-Key: {keys.tenant}", "--header", f"X-Admin-API-Key: {keys.admin}"),
            *("--seed", str(seed), "--max-examples", str(run.examples), *run.paths),
            *("--exclude-checks", "positive_data_acceptance", "--continue-on-failure", "--no-shrink", "--no-color"),
            *("--generation-database", "none", "--report-json-path", str(report)),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    told = json.loads(report.read_text("utf-8"))
    assert (told["failures"], told["errors"]) == ([], [])
    assert told["operations"] | {"tested": run.operations, "errored": 0} == told["operations"]
    assert told["test_cases"]["generated"] >= run.least
    print(f"{told['test_cases']['generated']} requests")
    counted = server.service.metrics.text().decode()
    assert 'code="invalid_request"' in counted
    assert 'code="internal_error"' not in counted


def fill(server: Any, headers: dict[str, str]) -> None:
    """Something of every kind, so that ids that are drawn small exist."""
    for n in range(4):
        plan = {"goal": f"goal {n}", "planned_action": f"make {n}"}
        captured = server.client.post("/v1/capture", json={**plan, "resolution": "make clean"}, headers=headers).json()
        for _ in range(3):
            fix = {"episode_id": captured["episode_id"], "outcome": "success"}
            assert server.client.post("/v1/validate_fix", json=fix, headers=headers).status_code == 200


def test_every_call_names_the_key_that_opens_it_and_the_problems_it_answers(serve: Serve) -> None:
    """The document says what a client must be ready for, each problem as a problem document, or as OpenAI tells it."""
    document = serve(insecure_local=False).get("/docs/openapi.json")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            problems = {int(status) for status in operation["responses"] if int(status) >= 400}
            opened = bool(operation.get("security"))
            assert ({401, 503} <= problems) == opened, path
            assert ({413, 415, 422} <= problems) == ("requestBody" in operation), path
            for status in problems if opened else ():
                content = operation["responses"][str(status)]["content"]
                media, shape = (
                    ("application/json", "OpenAIProblem") if path in OPENAI else ("application/problem+json", "Problem")
                )
                assert content == {media: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
            assert opened or path in ("/healthz", "/livez", "/readyz", "/startupz"), (method, path)
