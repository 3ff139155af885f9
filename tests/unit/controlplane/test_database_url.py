"""Addresses of PostgreSQL: one that can be read in two ways is refused, and nothing of its password is quoted."""

import pytest

from controlplane.errors import BadSetting
from controlplane.memory.index import VectorsUnavailable
from controlplane.memory.pgvector import PgVectors
from controlplane.settings import load

NAMES = ("POINTSMAN_DATABASE_URL", "POINTSMAN_VECTORS_URL")
UNCLEAR = ("Hunter2/S3cret", "Hunter2#S3cret", "Hunter2?S3cret", "Hunter2@S3cret", "5432/S3cret", "[S3cret")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("password", UNCLEAR)
def test_a_password_that_is_not_percent_encoded_is_refused(name: str, password: str) -> None:
    with pytest.raises(BadSetting, match=f"{name}.*percent-encoded: / is %2F") as refused:
        load({name: f"postgresql://me:{password}@127.0.0.1/x"})
    assert not any(part in str(refused.value) for part in ("S3cret", "Hunter2"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("hosts", ["", "h:99999", "h:0", "h1:1,h2:port"])
def test_an_address_without_a_host_or_with_a_port_that_is_none_is_refused(name: str, hosts: str) -> None:
    with pytest.raises(BadSetting, match=name):
        load({name: f"postgresql://me:pw@{hosts}/x"})


@pytest.mark.parametrize("hosts", ["h", "h:5432", "[::1]:5432", "h1:5432,h2:5433"])
def test_one_host_or_several_are_taken(hosts: str) -> None:
    url = f"postgresql://me:Hunter2%2FS3cret@{hosts}/x?sslmode=require"
    assert load({"POINTSMAN_DATABASE_URL": url}).database_url == url


async def test_an_address_that_gets_by_is_not_quoted_either() -> None:
    with pytest.raises(VectorsUnavailable) as refused:
        await PgVectors("postgresql://me:Hunter2/S3cret@127.0.0.1/x").begin("hashing-384")
    assert not any(part in str(refused.value) for part in ("S3cret", "Hunter2"))
