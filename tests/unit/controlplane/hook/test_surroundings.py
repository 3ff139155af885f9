"""Facts about the place of a call: read from real repositories, without a process, and without a path."""

import subprocess
from pathlib import Path

import pytest

from controlplane.hook.surroundings import facts


def git(folder: Path, *words: str) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *settings, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "api" / "v2").mkdir(parents=True)
    git(folder, "init")
    git(folder, "commit", "--allow-empty", "-m", "first")
    git(folder, "checkout", "-b", "fix/login")
    return folder


def test_a_call_in_a_repository_knows_project_folder_and_branch(shop: Path) -> None:
    known = {"project": "shop", "branch": "fix/login", "virtualenv": "none"}
    assert facts(str(shop), {}) == {**known, "folder": "."}
    assert facts(str(shop / "api" / "v2"), {"VIRTUAL_ENV": "/home/dev/.venv"}) == {
        **known, "folder": "api/v2", "virtualenv": "active",
    }  # fmt: skip


def test_a_worktree_and_a_detached_head_are_read_where_git_keeps_them(shop: Path) -> None:
    git(shop, "worktree", "add", "-b", "hotfix", "../shop-hotfix")
    assert facts(str(shop.parent / "shop-hotfix"), {})["branch"] == "hotfix"
    git(shop, "checkout", "--detach")
    assert facts(str(shop), {})["branch"] == "detached"


def test_outside_a_repository_only_the_folder_has_a_name(tmp_path: Path) -> None:
    assert facts(str(tmp_path), {}) == {"project": tmp_path.name, "folder": ".", "virtualenv": "none"}


def test_a_broken_repository_has_no_branch(tmp_path: Path) -> None:
    (tmp_path / ".git").write_bytes(b"gitdir: \xff")
    assert "branch" not in facts(str(tmp_path), {})
    (tmp_path / ".git").write_text("gitdir: /nowhere")
    assert "branch" not in facts(str(tmp_path), {})


def test_a_home_folder_does_not_tell_whose_it_is(tmp_path: Path) -> None:
    assert facts(str(tmp_path), {"HOME": str(tmp_path)})["project"] == "home"


@pytest.mark.parametrize("cwd", ["", "relative/path"])
def test_a_place_nobody_named_has_no_facts(cwd: str) -> None:
    assert facts(cwd, {}) == {}
