"""An agent's settings may hold secrets and have a form of their own: neither gets lost on the way in and out."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.hook import private_file
from controlplane.hook.registration import NotWritten, install, uninstall
from controlplane.hook.settings_file import BYTE_ORDER_MARK

SECRET = '{"env": {"API_TOKEN": "hunter2"}}'


@pytest.fixture(autouse=True)
def usual_rights() -> Iterator[None]:
    """What is made without saying for whom can be read by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_copy_that_is_kept_is_read_by_its_owner_alone(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(SECRET)
    path.chmod(0o600)
    install(path, environ)
    state = tmp_path / "state" / "pointsman"
    [copy] = (state / "hook-settings").iterdir()
    assert "hunter2" in copy.read_text()
    assert [rights(kept) for kept in (copy, copy.parent, state)] == [0o600, 0o700, 0o700]
    assert rights(path) == 0o600


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "state" / "pointsman" / "hook-settings"
    folder.mkdir(parents=True, mode=0o755)
    install(tmp_path / "settings.json", environ)
    assert rights(folder) == rights(folder.parent) == 0o700


def test_settings_keep_their_rights_and_new_ones_are_their_owners(tmp_path: Path, environ: dict[str, str]) -> None:
    shared, new = tmp_path / "shared.json", tmp_path / "new.json"
    shared.write_text("{}")
    shared.chmod(0o664)
    for path in (shared, new):
        install(path, environ)
    assert (rights(shared), rights(new)) == (0o664, 0o600)
    uninstall(shared, environ)
    assert rights(shared) == 0o664


def test_what_was_stopped_in_the_middle_or_left_there_is_read_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    with pytest.raises(UnicodeEncodeError):  # stopped in the middle of writing
        private_file.replace(str(path), "hunter2\ud800")
    assert list(tmp_path.iterdir()) == []
    (left := tmp_path / f".kept.json.{os.getpid()}").symlink_to(tmp_path / "elsewhere")  # by a process of this number
    private_file.replace(str(path), "hunter2")
    assert not left.is_symlink()
    assert [(p.name, rights(p)) for p in tmp_path.iterdir()] == [("kept.json", 0o600)]


def test_what_was_begun_is_removed_when_replacing_fails(tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "settings.json"
    folder.mkdir()
    with pytest.raises(NotWritten, match="cannot be"):
        install(folder, environ)
    with pytest.raises(OSError):
        private_file.replace(str(folder), "hunter2")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_byte_order_mark_stays(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.json"
    path.write_text(BYTE_ORDER_MARK + SECRET, "utf-8")
    install(path, environ)
    text = path.read_text("utf-8")
    assert text.startswith(BYTE_ORDER_MARK)
    assert set(json.loads(text.removeprefix(BYTE_ORDER_MARK))) == {"env", "hooks"}
    uninstall(path, environ)
    assert path.read_text("utf-8") == BYTE_ORDER_MARK + SECRET


def test_line_ends_stay(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(b'{\r\n    "model": "opus"\r\n}\r\n')
    install(path, environ)
    written = path.read_bytes()
    assert written.count(b"\n") == written.count(b"\r\n") > 10
    assert b'\r\n    "model"' in written
    assert json.loads(written)["model"] == "opus"


def test_a_link_that_leads_round_in_a_circle_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.symlink_to(other)
    other.symlink_to(one)
    for change in (install, uninstall):
        with pytest.raises(NotWritten, match="is a link that leads round in a circle"):
            change(one, environ)
    assert one.is_symlink()
    assert other.is_symlink()
