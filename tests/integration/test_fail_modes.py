"""A decision that cannot be journalled is refused, let pass or answered by what was learnt, as its tenant wants it."""

from collections.abc import Iterator
from typing import Any

import pytest

from controlplane import failpoints

from .conftest import Running, chosen
from .test_access import Keyed

Json = dict[str, Any]
CANDIDATES = [{"provider": "usual", "sku": "A"}, {"provider": "better", "sku": "B"}]
ROUTE: Json = {"candidates": CANDIDATES}
GATE: Json = {"planned_action": "make all", "goal": "build"}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    with Running(chosen(tmp_path_factory.mktemp("data"), insecure_local=False, epsilon=0.5)) as running:
        yield Keyed(running)


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def taught(keyed: Keyed, tenant: str, **settings: str) -> str:
    """A tenant's key; the tenant has learnt that the second candidate is the better one."""
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": tenant, "tier": "local", **settings})
    key: str = keyed.issue(tenant=tenant)["key"]
    for _ in range(30):
        decided = keyed.with_key(key, "POST", "/v1/decisions", ROUTE).json()
        better = decided["chosen"]["provider"] == "better"
        outcome = {"latency_ms": 10 if better else 900, "failures": 0 if better else 3}
        keyed.with_key(key, "POST", "/v1/feedback", {"trace_id": decided["trace_id"], "outcome": outcome})
    return key


def without_journal(keyed: Keyed, key: str, body: Json) -> Any:
    failpoints.arm("journal.insert:error@1")
    return keyed.with_key(key, "POST", "/v1/decisions", body)


def test_closed_refuses(keyed: Keyed) -> None:
    key = taught(keyed, "closed")
    answer = without_journal(keyed, key, GATE)
    assert (answer.status_code, answer.json()["code"]) == (503, "journal_unavailable")


def test_an_answer_that_nobody_can_report_on_is_no_audit(keyed: Keyed) -> None:
    """A block at low risk that is let through without the journal would show nothing."""
    key = taught(keyed, "unaudited", fail_mode="last_good")
    plan = {"goal": "roll out", "planned_action": "kubectl apply -f x", "environment": {"cluster": "production"}}
    for _ in range(3):
        keyed.with_key(key, "POST", "/v1/capture", {**plan, "error_trace": "Error: x", "resolution": "set it first"})
    sets = {"mode": "apprentice", "audit_ceiling": 1, "audit_share": 1, "risk_ceiling": 1}
    body = {"version": 0, "why": "all blocks are audited", **sets}
    assert keyed.with_key(key, "PATCH", "/v1/points/gate/policy", body).status_code == 200
    assert keyed.with_key(key, "POST", "/v1/decisions", plan).json()["explanations"]["exploration"] == "audit"
    answer = without_journal(keyed, key, plan).json()
    assert (answer["action"], answer["trace_id"]) == ("BLOCK", None)


def test_open_lets_pass_and_takes_the_callers_first_candidate(keyed: Keyed) -> None:
    key = taught(keyed, "open", fail_mode="open")
    gate = without_journal(keyed, key, GATE).json()
    assert (gate["action"], gate["trace_id"], gate["degraded"]) == ("PROCEED", None, ["journal"])
    for _ in range(8):
        route = without_journal(keyed, key, ROUTE).json()
        assert (route["chosen"], route["trace_id"], route["propensity"]) == (CANDIDATES[0], None, 1.0)


def test_last_good_answers_what_was_learnt_and_does_not_explore(keyed: Keyed) -> None:
    key = taught(keyed, "last-good", fail_mode="last_good")
    for _ in range(8):
        route = without_journal(keyed, key, ROUTE).json()
        assert (route["chosen"]["provider"], route["trace_id"], route["degraded"]) == ("better", None, ["journal"])


@pytest.mark.parametrize("mode", ["open", "last_good"])
def test_what_was_not_journalled_leaves_nothing_and_the_next_decision_is_like_any(keyed: Keyed, mode: str) -> None:
    key = taught(keyed, f"after-{mode.replace('_', '-')}", fail_mode=mode)
    before = keyed.running.service.journal.last_seq
    assert without_journal(keyed, key, ROUTE).status_code == 200
    assert keyed.running.service.journal.last_seq == before
    assert keyed.with_key(key, "POST", "/v1/decisions", ROUTE).json()["trace_id"].startswith("tr_")


def test_a_tenant_is_changed_in_what_is_given_and_nothing_else(keyed: Keyed) -> None:
    made = keyed.operate("POST", "/v1/admin/tenants", {"tenant": "changing"})
    assert (made["tier"], made["fail_mode"]) == ("free", "closed")
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "changing", "tier": "pro"})
    changed = keyed.operate("POST", "/v1/admin/tenants", {"tenant": "changing", "fail_mode": "open"})
    assert (changed["tier"], changed["fail_mode"]) == ("pro", "open")
