"""A key's text: what it is made of, what is refused without a look at any record, and that it is not shown."""

import random
import re

import pytest

from controlplane.tenants import Key, digest, new_key, parse
from controlplane.tenants.keys import ALPHABET, KeyKind


@pytest.mark.parametrize(("kind", "shape"), [("tenant", "pm_live"), ("admin", "pm_admin")])
def test_a_key_reads_as_a_secret_scanner_expects(kind: KeyKind, shape: str) -> None:
    text = new_key(kind).text
    assert re.fullmatch(shape + r"_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}", text)
    assert parse(text) == Key(kind, *re.fullmatch(r"pm_\w+?_(\w{12})_(\w{32})\w{6}", text).groups())  # type: ignore[union-attr]


def test_a_worked_example_stays_what_it_is() -> None:
    """A change of the format would lock everybody out."""
    key = Key("tenant", "0123456789ab", "0123456789ABCDEFGHIJKLMNOPQRSTUV")
    assert key.text == "pm_live_0123456789ab_0123456789ABCDEFGHIJKLMNOPQRSTUV0mISWe"
    assert parse(key.text) == key
    kept = "804e6d854739162fdea0d455b3aafe67f40d2919406186a27be601596ac6d306"
    assert digest(b"pepper", "secret").hex() == kept


def test_every_typing_error_of_one_character_is_told_from_a_key() -> None:
    text = new_key("tenant").text
    for at in range(len(text)):
        for other in ALPHABET + "_?":
            if other != text[at]:
                assert parse(text[:at] + other + text[at + 1 :]) is None


def test_nothing_else_is_a_key(seed: int) -> None:
    rng, text = random.Random(seed), new_key("admin").text
    odd = ["", "pm_live_", text[1:], text[:-1], text + "0", text.upper(), " " + text, text.replace("admin", "live")]
    odd += ["é" * len(text), text[:-1] + "ß", "pm_admin_" + "_" * 51]
    odd += ["".join(rng.choices(ALPHABET + "_", k=rng.randrange(90))) for _ in range(2000)]
    assert [given for given in odd if parse(given) is not None] == []


def test_keys_do_not_repeat_and_are_not_shown() -> None:
    keys = [new_key("tenant") for _ in range(1000)]
    assert len({key.key_id for key in keys}) == len({key.secret for key in keys}) == 1000
    assert keys[0].secret not in f"{keys[0]} {keys[0]!r} {keys[:1]}"


def test_the_kept_hash_needs_the_pepper() -> None:
    assert digest(b"a" * 32, "secret") != digest(b"b" * 32, "secret")
    assert digest(b"a" * 32, "secret") == digest(b"a" * 32, "secret")
