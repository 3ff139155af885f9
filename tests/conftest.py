"""Every test starts without the machine's POINTSMAN_* settings; `--seed` moves the tests that draw."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.services import Postgres, Redis, running

PREFIX = "POINTSMAN_"
SEED = 20_261_126


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=SEED, help=f"of the tests that draw what they do (default {SEED})")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of a test that draws what it does; `--seed` changes it."""
    chosen: int = request.config.getoption("--seed")
    print(f"seed {chosen}")
    return chosen


def _cleared() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            environment.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing here speaks TLS, and a client that reads the machine's certificates first takes longer than its test."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", "")
        environment.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("certificates")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_settings_for_shared_fixtures() -> Iterator[None]:
    """Servers that several tests share are started without them too."""
    yield from _cleared()


@pytest.fixture(autouse=True)
def _no_settings() -> Iterator[None]:
    yield from _cleared()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of this process's tests; each takes a database of its own.

    Not in a folder of pytest's: the next run that starts closes those to other users, of whom the server is one.
    """
    with running(Postgres) as server:
        yield server
        server.kill()  # to stop in order it would write to disk what nobody reads again


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """A new and empty database."""
    return postgres.database()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis server of one test, which may pause, kill and flush it."""
    (folder := tmp_path / "redis").mkdir()
    with running(Redis, folder) as server:
        yield server
