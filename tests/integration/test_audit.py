"""What operators did can be read again: all of it, who asked, and nothing that must not be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Running, chosen
from .test_access import Keyed

AUDIT = "/v1/admin/audit"


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Keyed]:
    with Running(chosen(tmp_path / "data", insecure_local=False)) as running:
        yield Keyed(running)


def key_id(key: str) -> str:
    return key.split("_")[2]


def told(act: dict[str, Any]) -> tuple[str, str | None, str, str]:
    return act["act"], act["tenant"], act["about"], act["by"]


def test_every_act_of_an_operator_is_in_the_audit_once_with_who_asked(keyed: Keyed) -> None:
    admin, first = key_id(keyed.admin), key_id(keyed.tenant)
    keyed.operate("POST", "/v1/admin/tenants", {"tenant": "acme", "tier": "pro"})
    made = keyed.issue(tenant="acme", name="ci", scopes=["read"])
    rotated = keyed.operate("POST", f"/v1/admin/keys/{made['key_id']}/rotate", {"overlap_s": 0}, 201)
    keyed.operate("DELETE", f"/v1/admin/keys/{rotated['key_id']}", status=204)

    def ask(method: str, path: str, body: Any = None) -> Any:
        answer = keyed.with_key(keyed.tenant, method, path, body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    episode = ask("POST", "/v1/capture", {"goal": "g", "planned_action": "make", "resolution": "make -k"})["episode_id"]
    fix = {"episode_id": episode, "outcome": "success"}
    skill = [ask("POST", "/v1/validate_fix", fix)["skill_id"] for _ in range(3)][-1]
    ask("POST", f"/v1/skills/{skill}/retire", {"reason": "a text of the tenant"})
    checkpoint = ask("POST", "/v1/checkpoints", {"name": "another text"})["checkpoint_id"]
    ask("POST", f"/v1/checkpoints/{checkpoint}/restore")
    ask("POST", "/v1/checkpoints/prune", {"keep": 1})
    ask("DELETE", f"/v1/episodes/{episode}")

    acts = keyed.operate("GET", AUDIT)
    assert [told(act) for act in reversed(acts)] == [
        ("tenant_set", "default", "default", ""),
        ("key_issued", "default", first, ""),
        ("key_issued", None, admin, ""),
        ("tenant_set", "acme", "acme", admin),
        ("key_issued", "acme", made["key_id"], admin),
        ("key_issued", "acme", rotated["key_id"], admin),
        ("key_ends", "acme", made["key_id"], admin),
        ("key_ends", "acme", rotated["key_id"], admin),
        ("skill_retired", "default", str(skill), first),
        ("checkpoint", "default", checkpoint, first),
        ("restored", "default", checkpoint, first),
        ("checkpoints_pruned", "default", "", first),
        ("episode_deleted", "default", str(episode), first),
    ]
    assert acts[7]["details"] == {"kind": "tenant", "name": "ci", "scopes": ["read"], "ends_at": None}
    whole = str(acts)
    secrets = [keyed.admin, keyed.tenant, made["key"], rotated["key"]]
    digests = [record.digest for record in keyed.running.service.registry.keys.values()]
    assert [s for s in (*secrets, *(key.split("_")[3] for key in secrets), "text") if s in whole] == []
    assert [d for d in digests if d.hex() in whole or repr(d)[2:-1] in whole] == []


def test_the_audit_is_paged_and_asked_by_tenant(keyed: Keyed) -> None:
    for n in range(7):
        keyed.operate("POST", "/v1/admin/tenants", {"tenant": f"t-{n % 2}", "tier": "free"})
    whole = keyed.operate("GET", AUDIT)
    pages, before = [], 2**53
    while page := keyed.operate("GET", f"{AUDIT}?limit=3&before={before}"):
        assert len(page) <= 3
        pages += page
        before = page[-1]["seq"]
    assert pages == whole
    assert len(whole) == 10
    of_one = keyed.operate("GET", f"{AUDIT}?tenant=t-1")
    assert of_one == [act for act in whole if act["tenant"] == "t-1"]
    assert keyed.operate("GET", f"{AUDIT}?tenant=nobody") == []


@pytest.mark.parametrize("asked", ["limit=0", "limit=501", "before=0", "limit=x", "tenant=", "tenant=%00", "tenant=A"])
def test_a_page_out_of_bounds_is_refused(keyed: Keyed, asked: str) -> None:
    answer = keyed.call("GET", f"{AUDIT}?{asked}", X_Admin_API_Key=keyed.admin)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
