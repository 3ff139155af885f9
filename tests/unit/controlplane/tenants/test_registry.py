"""The registry: who a key lets in, until when, and what a refusal gives away."""

import pytest

from auditor.events import (
    AnyEvent,
    KeyEnds,
    KeyIssued,
    Recorded,
    TenantSet,
)
from controlplane.errors import Forbidden, Unauthorized
from controlplane.tenants import Key, Registry, new_key

PEPPER, NOW = b"p" * 32, 1_800_000_000.0


class Journalled:
    """A registry fed with events in order."""

    def __init__(self) -> None:
        self.registry, self._seq = Registry(PEPPER), 0

    def __call__(self, *events: AnyEvent) -> None:
        for event in events:
            self._seq += 1
            self.registry.observe(Recorded(self._seq, event))

    def issue(self, key: Key, tenant: str = "acme", *scopes: str, ends_at: float | None = None) -> None:
        kept = self.registry.digest(key)
        self(
            KeyIssued(
                tenant=tenant, at=NOW, key_id=key.key_id, key_kind=key.kind, name="", scopes=scopes, digest=kept,
                ends_at=ends_at, by="",
            )
        )  # fmt: skip


@pytest.fixture
def journalled() -> Journalled:
    made = Journalled()
    made(TenantSet(tenant="acme", at=NOW, tier="free", by=""))
    return made


def test_a_key_says_whose_it_is_and_what_it_may_do(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key, "acme", "read", "decide")
    caller = journalled.registry.caller(key.text, "tenant", NOW)
    assert (caller.tenant, caller.key_id) == ("acme", key.key_id)
    caller.may("decide")
    with pytest.raises(Forbidden, match="lacks the scope 'capture'; it has decide, read"):
        caller.may("capture")


def test_a_refusal_does_not_say_whether_the_id_or_the_secret_was_wrong(journalled: Journalled) -> None:
    known, stranger, operator = new_key("tenant"), new_key("tenant"), new_key("admin")
    journalled.issue(known, "acme", "read")
    journalled.issue(operator, "")
    wrong_secret = Key("tenant", known.key_id, stranger.secret)
    said = set()
    for text, kind in [
        (wrong_secret.text, "tenant"), (stranger.text, "tenant"), ("pm_live_nonsense", "tenant"),
        (known.text, "admin"), (operator.text, "tenant"), (known.text[:-1] + "?", "tenant"),
    ]:  # fmt: skip
        with pytest.raises(Unauthorized) as refused:
            journalled.registry.caller(text, kind, NOW)  # type: ignore[arg-type]
        said.add(str(refused.value))
    assert len(said) == 1


@pytest.mark.parametrize("given", [None, ""])
def test_no_key_is_told_where_to_put_one(journalled: Journalled, given: str | None) -> None:
    with pytest.raises(Unauthorized, match="in the header X-API-Key"):
        journalled.registry.caller(given, "tenant", NOW)
    with pytest.raises(Unauthorized, match="in the header X-Admin-API-Key"):
        journalled.registry.caller(given, "admin", NOW)


def test_a_key_works_until_it_ends_and_not_a_moment_longer(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key, ends_at=NOW + 10)
    journalled.registry.caller(key.text, "tenant", NOW + 9.999)
    with pytest.raises(Unauthorized, match="has ended"):
        journalled.registry.caller(key.text, "tenant", NOW + 10)


def test_only_who_has_the_secret_is_told_that_a_key_has_ended(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key)
    journalled(KeyEnds(tenant="acme", at=NOW, key_id=key.key_id, ends_at=NOW, by=""))
    with pytest.raises(Unauthorized, match="has ended"):
        journalled.registry.caller(key.text, "tenant", NOW)
    with pytest.raises(Unauthorized, match="not known here"):
        journalled.registry.caller(Key("tenant", key.key_id, new_key("tenant").secret).text, "tenant", NOW)


def test_a_key_that_was_let_in_before_is_looked_at_as_closely_the_next_time(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key, ends_at=NOW + 10)
    assert journalled.registry.caller(key.text, "tenant", NOW) == journalled.registry.caller(key.text, "tenant", NOW)
    for other in (key.text[:-1] + "?", key.text + " ", key.text.swapcase()):
        with pytest.raises(Unauthorized, match="not known here"):
            journalled.registry.caller(other, "tenant", NOW)
    with pytest.raises(Unauthorized, match="not known here"):
        journalled.registry.caller(key.text, "admin", NOW)
    with pytest.raises(Unauthorized, match="has ended"):
        journalled.registry.caller(key.text, "tenant", NOW + 10)


def test_a_key_that_was_ended_stays_so_when_the_clock_is_set_back(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key)
    journalled(KeyEnds(tenant="acme", at=NOW, key_id=key.key_id, ends_at=NOW, by=""))
    with pytest.raises(Unauthorized, match="has ended"):
        journalled.registry.caller(key.text, "tenant", NOW - 3600)


def test_of_two_ends_the_sooner_holds(journalled: Journalled) -> None:
    """A revocation and a replacement that cross."""
    key = new_key("tenant")
    journalled.issue(key)
    for ends_at in (NOW + 20, NOW + 10, NOW + 30):
        journalled(KeyEnds(tenant="acme", at=NOW, key_id=key.key_id, ends_at=ends_at, by=""))
    journalled.registry.caller(key.text, "tenant", NOW + 9.9)
    with pytest.raises(Unauthorized, match="has ended"):
        journalled.registry.caller(key.text, "tenant", NOW + 10)


def test_an_event_that_comes_twice_counts_once(journalled: Journalled) -> None:
    registry = journalled.registry
    registry.observe(Recorded(1, TenantSet(tenant="late", at=NOW, tier="pro", by="")))
    assert set(registry.tenants) == {"acme"}


def test_a_tenant_keeps_its_birthday_through_changes(journalled: Journalled) -> None:
    journalled(TenantSet(tenant="acme", at=NOW + 5, tier="pro", by="k"))
    assert (journalled.registry.tenants["acme"].tier, journalled.registry.tenants["acme"].created_at) == ("pro", NOW)


def test_nothing_that_is_printed_holds_a_secret(journalled: Journalled) -> None:
    key = new_key("tenant")
    journalled.issue(key, "acme", "read")
    caller = journalled.registry.caller(key.text, "tenant", NOW)
    assert key.secret not in repr([caller, journalled.registry.keys, journalled.registry])
