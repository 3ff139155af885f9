"""Secrets that stand in files of their own."""

from pathlib import Path

import pytest

from controlplane.errors import BadSetting
from controlplane.settings import HIDDEN, SECRET, load

ADDRESS = "https://u:p@h/sk-canary-0123456789"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"  {ADDRESS}\n", "utf-8")
    return file


SCHEMES = {
    "database_url": "postgresql",
    "vectors_url": "postgresql",
    "redis_url": "rediss",
    "broker_url": "tls",
}  # of others: https


@pytest.mark.parametrize("name", sorted(SECRET))
def test_every_secret_may_stand_in_a_file_and_is_hidden_as_ever(secret: Path, name: str) -> None:
    held = secret.read_text("utf-8").replace("https", SCHEMES.get(name, "https"))
    secret.write_text(held, "utf-8")
    chosen = load({f"POINTSMAN_{name.upper()}_FILE": str(secret)})
    assert getattr(chosen, name) == held.strip()
    assert chosen.shown()[name] == HIDDEN
    assert "canary" not in repr(chosen)


def test_a_file_of_pointsman_toml_gives_way_to_the_environment(secret: Path, tmp_path: Path) -> None:
    settings = tmp_path / "pointsman.toml"
    settings.write_text(f'openai_api_key_file = "{secret}"\n', "utf-8")
    assert load({}, file=settings).openai_api_key == ADDRESS
    assert load({"POINTSMAN_OPENAI_API_KEY": "sk-other"}, file=settings).openai_api_key == "sk-other"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file"), (b"\xff", "is not UTF-8"), (b" \n", "is empty")]
)
def test_a_file_without_a_secret_stops_the_start_and_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BadSetting, match=f"openai_api_key_file: .*secret {said}"):
        load({"POINTSMAN_OPENAI_API_KEY_FILE": str(file)})


def test_a_secret_that_is_set_twice_in_one_place_is_refused(secret: Path) -> None:
    with pytest.raises(BadSetting, match="the environment sets 'api_key' and 'api_key_file'"):
        load({"POINTSMAN_API_KEY": "pm_live_x", "POINTSMAN_API_KEY_FILE": str(secret)})


def test_what_is_no_secret_has_no_file(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="which is no setting"):
        load({"POINTSMAN_PORT_FILE": str(tmp_path)})
