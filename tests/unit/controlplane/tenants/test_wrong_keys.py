"""Wrong keys by the hundred thousand, near misses above all: none is taken, and the right ones still are."""

import random
from collections.abc import Callable

import pytest

from auditor.events import KeyIssued, Recorded, TenantSet
from controlplane.errors import Unauthorized
from controlplane.tenants import Key, KeyKind, Registry, digest, new_key
from controlplane.tenants.keys import ALPHABET, ID, SECRET

NOW, PEPPER = 1_800_000_000.0, b"p" * 32
KEYS = [new_key("tenant") for _ in range(40)] + [new_key("admin") for _ in range(4)]
Miss = Callable[[random.Random, Key], str]


@pytest.fixture(scope="module")
def registry() -> Registry:
    made = Registry(PEPPER)
    made.observe(Recorded(1, TenantSet(tenant="acme", at=NOW, tier="free", by="")))
    for seq, key in enumerate(KEYS, 2):
        issued = KeyIssued(
            tenant="acme" if key.kind == "tenant" else "", at=NOW, key_id=key.key_id, key_kind=key.kind, name="",
            scopes=("read",), digest=digest(PEPPER, key.secret), ends_at=None, by="",
        )  # fmt: skip
        made.observe(Recorded(seq, issued))
    return made


def drawn(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(ALPHABET, k=length))


def changed(rng: random.Random, text: str) -> str:
    """The text with one character another."""
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(ALPHABET.replace(text[at], "")) + text[at + 1 :]


# Most have the right checksum: what is tried is the secret, not the typing.
MISSES: dict[str, Miss] = {
    "drawn": lambda rng, key: Key(key.kind, drawn(rng, ID), drawn(rng, SECRET)).text,
    "a secret drawn": lambda rng, key: key._replace(secret=drawn(rng, SECRET)).text,
    "a secret one character off": lambda rng, key: key._replace(secret=changed(rng, key.secret)).text,
    "a secret in another order": lambda rng, key: key._replace(secret=key.secret[1:] + key.secret[0]).text,
    "a secret in other cases": lambda rng, key: key._replace(secret=key.secret.swapcase()).text,
    "an id one character off": lambda rng, key: key._replace(key_id=changed(rng, key.key_id)).text,
    "another's secret": lambda rng, key: key._replace(secret=rng.choice([k for k in KEYS if k != key]).secret).text,
    "the other kind": lambda rng, key: key._replace(kind="admin" if key.kind == "tenant" else "tenant").text,
    "a typing error": lambda rng, key: changed(rng, key.text),
    "too short": lambda rng, key: key.text[: rng.randrange(len(key.text))],
    "too long": lambda rng, key: key.text + drawn(rng, rng.randrange(1, 9)),
    "the digest for the secret": lambda rng, key: key._replace(secret=digest(PEPPER, key.secret).hex()[:SECRET]).text,
    "other letters that look alike": lambda rng, key: key.text.replace(key.text[-1], "\N{FULLWIDTH DIGIT ONE}"),
}


@pytest.mark.parametrize("tries", [20_000, pytest.param(1_000_000, marks=pytest.mark.nightly)])
def test_no_wrong_key_is_accepted(registry: Registry, tries: int, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    print(f"seed {seed}")
    rng, accepted, misses = random.Random(seed), list[str](), list(MISSES)
    for number in range(tries):
        key, kind = rng.choice(KEYS), misses[number % len(misses)]
        sent = MISSES[kind](rng, key)
        for asked in ("tenant", "admin"):
            if takes(registry, sent, asked):
                accepted.append(kind)
    assert accepted == []
    assert all(takes(registry, key.text, key.kind) for key in KEYS)


def takes(registry: Registry, sent: str, kind: KeyKind) -> bool:
    try:
        return registry.caller(sent, kind, NOW) is not None
    except Unauthorized:
        return False
