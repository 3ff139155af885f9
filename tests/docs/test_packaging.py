"""The lock, the package's files, and a make that says what is missing before it starts."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from controlplane.cli import app

PACKAGES = ("strategist", "auditor", "controlplane")
TARGETS = (
    "install",
    "run",
    "serve",
    "test",
    "test-services",
    "test-nightly",
    "lint",
    "bench",
    "bench-chat",
    "bench-redis",
    "bench-demo",
    "bench-ope",
    "bench-learning",
    "bench-calibration",
    "bench-chat-routing",
    "bench-embedding",
    "bench-worth",
    "bench-memory",
    "bench-retrieval",
    "bench-chaos",
    "bench-replay",
    "bench-vectors",
    "bench-scale",
)


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def lock(root: Path) -> list[str]:
    """The lock's requirements, without comments."""
    lines = (root / "requirements.lock").read_text("utf-8").splitlines()
    return [line.partition("#")[0].strip() for line in lines if line.partition("#")[0].strip()]


def test_lock_holds_exact_versions_and_nothing_else(lock: list[str]) -> None:
    assert [line for line in lock if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?", line)] == []


def test_lock_names_no_source(root: Path) -> None:
    text = (root / "requirements.lock").read_text("utf-8")
    assert not re.search(r"//|^-|\.(org|com|io|net)\b| @ ", text, re.MULTILINE)


def test_lock_pins_the_torch_that_every_source_has(lock: list[str]) -> None:
    assert "torch==2.13.0" in lock


def test_lock_pins_every_direct_dependency_to_what_the_project_allows(project: dict[str, Any], lock: list[str]) -> None:
    pinned = {canonicalize_name(Requirement(line).name): Requirement(line).specifier for line in lock}
    table = project["project"]
    wanted = [*table["dependencies"], *(d for extra in table["optional-dependencies"].values() for d in extra)]
    for requirement in map(Requirement, wanted):
        [pin] = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), requirement


def test_package_data_declares_every_file_that_is_not_python(root: Path, project: dict[str, Any]) -> None:
    patterns = project["tool"]["setuptools"]["package-data"]
    for package in PACKAGES:
        declared = {file for pattern in patterns[package] for file in (root / package).glob(pattern)}
        files = {file for file in (root / package).rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
        assert files - declared == set()


def test_project_ships_its_licence(root: Path, project: dict[str, Any]) -> None:
    assert project["project"]["license"] == "Apache-2.0"
    text = (root / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.fixture
def image(root: Path) -> str:
    """The Dockerfile."""
    return (root / "Dockerfile").read_text("utf-8")


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run make as from a shell, also when these tests were themselves started by make."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return subprocess.run(["make", *arguments], cwd=folder, env=ours, capture_output=True, text=True, check=False)


@pytest.fixture
def fresh(root: Path, tmp_path: Path) -> Path:
    """What make looks at, in a folder with nothing installed and a space in its name."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, folder)
    return folder


def test_make_alone_lists_the_targets(fresh: Path) -> None:
    said = make(fresh).stdout
    assert re.findall(r"^make ([\w-]+)", said, re.MULTILINE) == ["help", *TARGETS]


def test_install_without_a_compiler_says_what_to_install_and_makes_nothing(fresh: Path) -> None:
    refused = make(fresh, "install", "CXX=no-such-compiler")
    assert refused.returncode != 0
    assert "C++ compiler" in refused.stderr
    assert "apt install g++" in refused.stderr
    assert not (fresh / ".venv").exists()


def test_install_with_an_old_python_says_what_is_needed_and_makes_nothing(fresh: Path) -> None:
    old = fresh / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    old.chmod(0o755)
    refused = make(fresh, "install", "PYTHON=./old-python")
    assert refused.returncode != 0
    assert "Python 3.11 or newer" in refused.stderr
    assert not (fresh / ".venv").exists()


def test_install_with_headers_missing_says_so_and_makes_nothing(fresh: Path) -> None:
    refused = make(fresh, "install", "CXX=c++ -nostdinc")
    assert refused.returncode != 0
    assert "headers" in refused.stderr
    assert not (fresh / ".venv").exists()


def test_install_takes_torch_from_the_index_that_is_named_and_nothing_else_from_it(fresh: Path) -> None:
    planned = make(fresh, "--dry-run", "install", "TORCH_INDEX=https://index.example/cpu").stdout
    commands = [line for line in planned.splitlines() if "pip install" in line]
    assert ["index.example" in line for line in commands] == [True, False, False]
    assert commands[0].endswith("--no-deps --index-url https://index.example/cpu torch==2.13.0")


def test_install_is_done_once_until_the_lock_changes(fresh: Path) -> None:
    stamp = fresh / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    installed = stamp.stat().st_mtime
    for name in ("requirements.lock", "pyproject.toml"):
        os.utime(fresh / name, (installed - 10, installed - 10))
    assert "pip" not in make(fresh, "--dry-run", "test").stdout
    os.utime(fresh / "requirements.lock", (installed + 10, installed + 10))
    assert "pip install" in make(fresh, "--dry-run", "test").stdout


def test_nightly_tests_without_strace_say_what_to_install(fresh: Path) -> None:
    stamp = fresh / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    refused = make(fresh, "test-nightly", "PATH=/nowhere")
    assert refused.returncode != 0
    assert "apt install strace" in refused.stderr


def test_image_runs_without_root_and_keeps_data_on_a_volume(image: str) -> None:
    last = image.split("FROM python:3.11-slim\n")[1]
    for line in ("USER 10001:10001", "VOLUME /data", 'ENTRYPOINT ["pointsman"]', 'CMD ["serve"]'):
        assert f"\n{line}\n" in last
    assert "POINTSMAN_DATA_DIR=/data" in last


def test_image_is_built_of_files_that_are_there_and_are_let_through(root: Path, image: str) -> None:
    copied = {source for words in re.findall(r"^COPY (.+)$", image, re.MULTILINE) for source in words.split()[:-1]}
    assert set(PACKAGES) < copied
    assert [source for source in copied if not (root / source).exists()] == []
    let_through = (root / ".dockerignore").read_text("utf-8").splitlines()
    assert {line[1:] for line in let_through if line.startswith("!")} == copied


def test_image_takes_extras_that_exist_and_installs_only_what_it_built(image: str, project: dict[str, Any]) -> None:
    build, last = image.split("FROM python:3.11-slim\n")
    [of_build, of_last] = [re.findall(r'^ARG EXTRAS="([\w,]+)"$', stage, re.MULTILINE) for stage in (build, last)]
    assert of_build == of_last == ["postgres,redis,nats"]
    assert set(of_build[0].split(",")) <= set(project["project"]["optional-dependencies"])
    assert 'pip wheel --wheel-dir /wheels --find-links /wheels ".[$EXTRAS]"' in build
    assert 'pip install --no-cache-dir --no-index --find-links /wheels "pointsman[$EXTRAS]"' in last


def test_image_follows_the_rules_of_good_ones(image: str) -> None:
    """Those of hadolint that concern it: no shell where none is needed, no cache and no recommended package kept."""
    assert [tag for tag in re.findall(r"^FROM (\S+)", image, re.MULTILINE) if not re.search(r":\d", tag)] == []
    assert re.findall(r"^(?:ADD|MAINTAINER|SHELL|EXPOSE 22)\b|\bsudo\b|\bcurl\b|:latest", image, re.MULTILINE) == []
    forms = re.findall(r"^(?:ENTRYPOINT|CMD|HEALTHCHECK .*?CMD) (.+)$", image, re.MULTILINE)
    assert [json.loads(form) for form in forms] == [["pointsman", "ping"], ["pointsman"], ["serve"]]
    [installs] = re.findall(r"apt-get install[^&]*", image)
    assert "--no-install-recommends" in installs
    assert "rm -rf /var/lib/apt/lists/*" in image


def test_image_asks_and_serves_by_commands_that_exist() -> None:
    assert [command for command in ("ping", "serve") if command not in app] == []
