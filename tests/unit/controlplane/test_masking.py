"""What a tool is given is told without its secrets, wherever they stand; what is none is told as it is."""

import json

import pytest

from controlplane.masking import MOST, masked

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    "name",
    [
        "token", "api_token", "client_secret", "password", "passwd", "Passphrase", "pwd", "DB_PWD", "apikey", "api_key",
        "api-key", "X-Api-Key", "apiKey", "accessKey", "authorization", "Authorization", "auth", "basic_auth", "oauth",
        "authHeader", "auth-user", "bearer", "Cookie", "set-cookie", "credentials", "private_key", "privateKey",
        "private key",
    ],
)  # fmt: skip
def test_what_is_named_like_a_secret_is_masked_at_any_depth(name: str) -> None:
    for value in (SECRET, [SECRET], {"a": SECRET}, 12345):
        assert masked({name: value}) == {name: "***"}
        assert masked({"options": [{"headers": {name: value}}]}) == {"options": [{"headers": {name: "***"}}]}


def test_a_name_that_is_a_secret_itself_is_masked_too() -> None:
    bare = "ghp_0123456789abcdefABCDEF"
    assert masked({f"uses {bare}": {bare: 1}}) == {"uses ***": {"***": 1}}


@pytest.mark.parametrize("name", ["author", "authors", "authority", "key", "keyboard", "path", "passenger", "user"])
def test_what_only_resembles_such_a_name_is_told(name: str) -> None:
    assert masked({name: "ann"}) == {name: "ann"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("https://ann:pw@acme.org/a?b=c&d=e#f=g", "https://***@acme.org/a?b=***&d=***#f=***"),
        ("see postgres://ann:p@ss@db:5432/shop now", "see postgres://***@db:5432/shop now"),
        ("https://acme.org/a/b", "https://acme.org/a/b"),
        ("git@github.com:acme/shop.git", "git@github.com:acme/shop.git"),
        ("Authorization: Bearer abc.def-ghi", None),
        ("curl -H 'authorization: bearer hunter2hunter2'", None),
        ("password=hunter2hunter2 and more", "password=*** and more"),
        ('{"api_key": "hunter2hunter2", "page": 2}', '{"api_key": ***, "page": 2}'),
        ("use ghp_0123456789abcdefABCDEF", "use ***"),
        ("eyJhbGciOi.eyJzdWIiOi.c2ln", "***"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "***\nrest"),
        ("the author wrote a novel: yes", "the author wrote a novel: yes"),
        ("Login fails", "Login fails"),
    ],
)
def test_secrets_inside_a_text_are_masked(given: str, told: str | None) -> None:
    said = json.dumps(masked({"body": [given]}))
    assert not [secret for secret in ("hunter2", "abc.def", "ann", ":pw", "ss@") if secret in said]
    if told is not None:
        assert masked(given) == told


@pytest.mark.parametrize(
    "text", ["token" * 4000, "a" * 20_000, "a." * 9000 + "=", "://" * 6000, "http://" + "?" * 9000]
)
def test_of_a_text_made_to_be_slow_only_so_much_is_read(text: str) -> None:
    """An expression that tries the same letters again and again would not come to an end here."""
    assert len(str(masked(text))) <= MOST
