"""Plays one seeded session against a running server, so that its journal can be kept as a golden one.

With the version whose journals are to be readable for ever, from schema 3 on with --insecure-local:

    POINTSMAN_EMBEDDER=hashing POINTSMAN_SEED=1 pointsman serve --port 8099 --data-dir DIR
    python tests/durability/golden/record.py http://127.0.0.1:8099
    (stop the server) ; gzip -9n < DIR/journal.db > tests/durability/golden/schema-N.journal.db.gz

test_golden_journals.py says what that version had learnt from it; what it prints is looked at before it is kept.
"""

import random
import sys
from typing import Any

import httpx

SEED, TASKS = 20261126, 40
PLANS = ("git push", "make test", "pytest -q", "docker build .", "npm ci", "kubectl apply -f app.yaml")
FIXES = {"git push": "git push -u origin HEAD", "npm ci": "npm install"}


def play(url: str) -> None:
    """Decisions of both points, reports of every kind, captures, validations, a checkpoint, a restore, a purge."""
    rng = random.Random(SEED)
    with httpx.Client(base_url=url, timeout=30) as client:

        def post(path: str, **body: Any) -> Any:
            answer = client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()

        kept, episodes = "", list[int]()
        for task in range(TASKS):
            plan = rng.choice(PLANS)
            asked = {"goal": f"do {plan}", "planned_action": plan, "task_id": f"task-{task}",
                     "environment": {"ci": rng.random() < 0.5, "branch": rng.choice(("main", "topic"))}}  # fmt: skip
            for _ in range(rng.randrange(1, 4)):
                said = post("/v1/decisions", **asked)
                success = rng.random() < 0.6
                outcome = {
                    "success": success,
                    "applied_suggestion": rng.random() < 0.5,
                    "overridden": said["action"] == "BLOCK",
                }
                post("/v1/feedback", trace_id=said["trace_id"], outcome=outcome)
                if not success:
                    fix = FIXES.get(plan, "")
                    failure = post(
                        "/v1/capture", **asked, trace_id=said["trace_id"], error_trace=f"{plan}: no", resolution=fix
                    )
                    episodes.append(failure["episode_id"])
            where = post("/v1/decisions", candidates=[{"provider": p, "sku": "s"} for p in ("a", "b", "c")])
            post(
                "/v1/feedback", trace_id=where["trace_id"], outcome={"latency_ms": rng.randrange(400), "slo_hit": True}
            )
            if episodes and task % 3 == 0:
                post("/v1/validate_fix", episode_id=rng.choice(episodes), outcome=rng.choice(("success", "failure")))
            if task == 20:
                kept = post("/v1/checkpoints", name="twenty")["checkpoint_id"]
            if task == 25:
                post(f"/v1/checkpoints/{kept}/restore")
        client.delete(f"/v1/episodes/{episodes[-1]}").raise_for_status()


if __name__ == "__main__":
    play(sys.argv[1])
