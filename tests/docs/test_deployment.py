"""The files an operator copies ask for what is there, and let nobody in whom the route table keeps out."""

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml

from controlplane import settings
from controlplane.cli import app
from controlplane.http.admission import MAX_LARGE
from controlplane.http.routes import ROUTES
from controlplane.journal.postgres.database import LOG_READERS, READERS
from controlplane.memory.pgvector import CONNECTIONS
from controlplane.serving import GRACE_S

UNITS = ("pointsman.service", "pointsman-backup.service", "pointsman-backup.timer", "pointsman-backfill.service")


@pytest.fixture
def files(root: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (root / "deploy").rglob("*") if path.is_file()}


@pytest.fixture
def page(pages: dict[str, str]) -> str:
    return pages["docs/deployment.md"]


def test_the_page_says_how_many_connections_replicas_hold(root: Path, pages: dict[str, str]) -> None:
    held = READERS + LOG_READERS + len(("writer", "listener", "lease")) + CONNECTIONS
    scaled = (root / "k8s" / "production" / "autoscaler.yaml").read_text("utf-8")
    assert f"up to {held} connections" in scaled
    most = yaml.safe_load(scaled)["spec"]["maxReplicas"]
    [enough] = re.findall(r"max_connections to (\d+)", scaled)
    assert (most + 1) * (held + 1) < int(enough)
    assert f"for vectors: {held}" in pages["docs/scale.md"]
    assert f"set {enough}" in pages["docs/scale.md"]


def unit(text: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
    parsed.read_string(text)
    return parsed


def operators_paths() -> list[str]:
    """Every path that takes an operator's key, with its alias, as a caller would write it."""
    paths = [re.sub(r"\{[^}]*\}", "x", route.path) for route in ROUTES if route.needs == "operator"]
    return [*paths, *(f"/api{path}" for path in paths if path.startswith("/v1/"))]


def test_units_run_commands_that_exist_as_the_user_that_the_page_makes(files: dict[str, str], page: str) -> None:
    for name in (*UNITS[:2], UNITS[3]):
        service = unit(files[name])["Service"]
        words = re.findall(r"/opt/pointsman/\.venv/bin/pointsman (\w+)", service["ExecStart"])
        assert [word in app for word in words] == [True]
        assert f"useradd --system --home-dir /var/lib/pointsman --shell /usr/sbin/nologin {service['User']}\n" in page
        assert f"install -d {service['WorkingDirectory']} " in page
    assert f"systemctl enable --now {UNITS[0]} {UNITS[2]}\n" in page


def test_the_unit_waits_until_a_server_that_stops_is_done(files: dict[str, str]) -> None:
    assert int(unit(files["pointsman.service"])["Service"]["TimeoutStopSec"]) > 2 * GRACE_S


def test_the_settings_file_of_the_page_is_taken_and_names_what_the_unit_may_write(
    files: dict[str, str], page: str, tmp_path: Path
) -> None:
    [line] = re.findall(r"echo '([^']+)' > /etc/pointsman/pointsman\.toml", page)
    (tmp_path / "pointsman.toml").write_text(line, "utf-8")
    folder = Path(settings.load({}, file=tmp_path / "pointsman.toml").data_dir)
    assert folder == Path("/var/lib") / unit(files["pointsman.service"])["Service"]["StateDirectory"]
    assert str(folder) in unit(files["pointsman-backup.service"])["Service"]["ReadWritePaths"].split()


def test_nginx_keeps_operators_calls_inside_and_lets_all_others_through(files: dict[str, str]) -> None:
    [closed] = re.findall(r"location ~ (\S+) \{\s+return 404;", files["nginx.conf"])
    assert len(operators_paths()) > 8
    assert [path for path in operators_paths() if not re.search(closed, path)] == []
    others = [path for route in ROUTES if route.needs != "operator" for path in (route.path, *route.aliases)]
    assert [path for path in others if re.search(closed, path)] == []


@pytest.mark.parametrize("name", ["Caddyfile", "shards.Caddyfile"])
def test_caddy_keeps_operators_calls_inside_and_lets_all_others_through(files: dict[str, str], name: str) -> None:
    [closed] = re.findall(r"@operators path (.+)\n\trespond @operators 404", files[name])
    patterns = [re.compile(re.escape(pattern).replace(r"\*", ".*")) for pattern in closed.split()]
    assert [path for path in operators_paths() if not any(p.fullmatch(path) for p in patterns)] == []
    others = [path for route in ROUTES if route.needs != "operator" for path in (route.path, *route.aliases)]
    assert [path for path in others if any(p.fullmatch(path) for p in patterns)] == []


@pytest.mark.parametrize(
    ("name", "directive"),
    [("nginx.conf", "keepalive_timeout"), ("Caddyfile", "keepalive"), ("shards.Caddyfile", "keepalive")],
)
def test_a_proxy_closes_idle_connections_before_the_server_does(
    files: dict[str, str], name: str, directive: str
) -> None:
    [idle_s] = re.findall(rf"^\s+{directive} (\d+)s", files[name], re.MULTILINE)
    assert 0 < int(idle_s) < uvicorn.Config(app="").timeout_keep_alive


@pytest.mark.parametrize(
    ("name", "directive"),
    [("nginx.conf", "client_max_body_size"), ("Caddyfile", "max_size"), ("shards.Caddyfile", "max_size")],
)
def test_a_proxy_leaves_it_to_the_server_to_refuse_a_large_body(
    files: dict[str, str], name: str, directive: str
) -> None:
    [kilobytes] = re.findall(rf"{directive} (\d+)k", files[name], re.IGNORECASE)
    assert int(kilobytes) * 1000 > MAX_LARGE


def test_the_scrape_of_the_page_has_the_job_that_the_alerts_ask_for(files: dict[str, str], page: str) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    scrape: dict[str, Any] = yaml.safe_load(example)
    assert [f'job="{job["job_name"]}"' in files["alerts.yml"] for job in scrape["scrape_configs"]] == [True]
    assert scrape["rule_files"] == ["alerts.yml"]


def test_every_file_to_deploy_is_named_on_the_page(files: dict[str, str], page: str) -> None:
    globbed = page.replace("pointsman*.service", " ".join((*UNITS[:2], UNITS[3]))).replace("pointsman*.timer", UNITS[2])
    assert [name for name in files if name not in globbed] == []
