"""`compose.yaml` and what it mounts: nobody is let in who need not be, and each name leads to what is there."""

import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from benchmarks.services import Postgres, Redis
from controlplane.http.routes import ROUTES
from controlplane.settings import Settings

Service = dict[str, Any]


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "compose.yaml").read_text("utf-8")))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Service]:
    return dict(compose["services"])


@pytest.fixture(scope="module")
def deploy(root: Path) -> Path:
    return root / "deploy"


def mounts(service: Service) -> list[tuple[str, str]]:
    """Where from and where to."""
    return [tuple(mount.split(":")[:2]) for mount in service.get("volumes", [])]


def test_the_services_are_those_that_are_promised(services: dict[str, Service]) -> None:
    assert set(services) == {"pointsman", "caddy", "postgres", "redis", "prometheus", "grafana"}


def test_only_what_people_look_at_can_be_reached_and_only_from_this_machine(services: dict[str, Service]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"caddy", "prometheus", "grafana"}
    assert [port for given in ports.values() for port in given if not port.startswith("127.0.0.1:")] == []


def test_database_and_redis_are_on_a_network_with_no_way_out(compose: dict[str, Any]) -> None:
    services = compose["services"]
    inside = {name for name, service in services.items() if service["networks"] == ["data"]}
    assert inside == {"postgres", "redis"}
    assert compose["networks"]["data"] == {"internal": True}
    assert {name for name, service in services.items() if "data" in service["networks"]} == inside | {"pointsman"}


def test_there_can_be_any_number_of_replicas(services: dict[str, Service]) -> None:
    """A name or a port of this machine belongs to one container."""
    replica = services["pointsman"]
    assert replica["deploy"]["replicas"] > 1
    assert {"container_name", "ports", "hostname"} & set(replica) == set()


def test_a_replica_may_do_nothing_and_write_only_where_it_must(services: dict[str, Service]) -> None:
    replica = services["pointsman"]
    assert (replica["read_only"], replica["tmpfs"], replica["cap_drop"]) == (True, ["/tmp"], ["ALL"])
    assert replica["security_opt"] == ["no-new-privileges:true"]


def test_every_service_is_looked_after(services: dict[str, Service], root: Path) -> None:
    """Pointsman's check is in its image."""
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"pointsman"}
    assert "\nHEALTHCHECK " in (root / "Dockerfile").read_text("utf-8")
    assert [name for name, service in services.items() if service["restart"] != "unless-stopped"] == []


def test_what_is_waited_for_is_there_and_has_a_health(services: dict[str, Service]) -> None:
    waited = services["pointsman"]["depends_on"]
    assert set(waited) == {"postgres", "redis"}
    assert [name for name in waited if waited[name] != {"condition": "service_healthy"}] == []


def test_images_of_others_are_named_by_a_version(services: dict[str, Service]) -> None:
    images = {name: service["image"].partition(":")[2] for name, service in services.items() if name != "pointsman"}
    assert [name for name, tag in images.items() if not re.search(r"\d", tag)] == []


def test_secrets_are_files_that_the_page_tells_to_make_and_no_image_or_commit_takes(
    compose: dict[str, Any], page: str, root: Path
) -> None:
    files = {name: secret["file"] for name, secret in compose["secrets"].items()}
    assert files == {name: f"secrets/{name}" for name in files}
    used = {name for service in compose["services"].values() for name in service.get("secrets", [])}
    assert used == set(files)
    [command] = re.findall(r"```sh\n(umask.*?)```", page, re.DOTALL)
    assert "secrets/" in (root / ".gitignore").read_text("utf-8").splitlines()
    assert "*" in (root / ".dockerignore").read_text("utf-8").splitlines()
    assert [name for name in files if f"secrets/{name}" not in command] == []


def test_the_commands_of_the_page_make_every_secret(compose: dict[str, Any], page: str, tmp_path: Path) -> None:
    [command] = re.findall(r"```sh\n(umask.*?)```", page, re.DOTALL)
    subprocess.run(["sh", "-eu", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    folder = tmp_path / "secrets"
    assert {path.name for path in folder.iterdir()} == set(compose["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700
    password = (folder / "database-password").read_text("utf-8").strip()
    assert len(password) >= 32
    assert (folder / "database-url").read_text("utf-8") == f"postgresql://pointsman:{password}@postgres:5432/pointsman"
    assert len(bytes.fromhex((folder / "pepper").read_text("utf-8"))) == 32
    [shared] = re.findall(r">(\w+) ", (folder / "redis-acl").read_text("utf-8"))
    assert (folder / "redis-url").read_text("utf-8") == f"redis://:{shared}@redis:6379/0"


def test_no_secret_stands_in_the_file(services: dict[str, Service]) -> None:
    values = [value for service in services.values() for value in service.get("environment", {}).values()]
    assert [value for value in values if "://" in value] == []
    named = [name for service in services.values() for name in service.get("environment", {}) if "PASSWORD" in name]
    assert [name for name in named if not name.endswith("_FILE")] == []


def test_secrets_are_read_where_they_are_mounted(services: dict[str, Service]) -> None:
    for service in services.values():
        text = [*service.get("environment", {}).values(), *service.get("command", [])]
        read = {found for value in text for found in re.findall(r"^/run/secrets/(.+)$", value)}
        assert read <= set(service.get("secrets", []))


def test_every_variable_of_a_replica_is_a_setting(services: dict[str, Service], variables: set[str]) -> None:
    assert set(services["pointsman"]["environment"]) - variables == set()


def test_every_mount_is_a_file_of_ours_or_a_named_volume(compose: dict[str, Any], root: Path) -> None:
    sources = [source for service in compose["services"].values() for source, _ in mounts(service)]
    files = [source for source in sources if source.startswith("./")]
    assert len(files) > 5
    assert [file for file in files if not (root / file).is_file()] == []
    assert set(sources) - set(files) == set(compose["volumes"])


def test_the_database_is_kept_where_the_image_of_this_version_has_it(services: dict[str, Service]) -> None:
    """From 18 on it is below a folder named by the version, so that an upgrade can link its files."""
    assert "pg18" in services["postgres"]["image"]
    assert ("database", "/var/lib/postgresql") in mounts(services["postgres"])


def test_the_database_is_made_for_a_role_that_row_security_holds_for(
    services: dict[str, Service], deploy: Path, postgres: Postgres, tmp_path: Path
) -> None:
    [(source, target)] = [mount for mount in mounts(services["postgres"]) if mount[0].startswith("./")]
    assert Path(target).parent == Path("/docker-entrypoint-initdb.d")
    (tmp_path / "password").write_text("it's secret", "utf-8")
    script = (deploy / Path(source).name).read_text("utf-8")
    script = script.replace("/run/secrets/database-password", str(tmp_path / "password"))
    there = {"PATH": f"{postgres.bin}:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)}
    subprocess.run(["sh", "-c", script.replace(" pointsman", " pm_made")], env=there, check=True, capture_output=True)
    role = postgres.ask("SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = 'pm_made'")
    assert role == "f|f|t"
    owner = postgres.ask("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'pm_made'")
    assert owner == "pm_made"
    assert postgres.ask("SELECT extname FROM pg_extension WHERE extname = 'vector'", "pm_made") == "vector"


def test_a_dump_by_the_commands_of_the_page_brings_back_rows_that_the_role_may_not_see(
    page: str, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database().rpartition("/")[2]
    postgres.ask("CREATE TABLE kept (tenant text, near vector(2)); ALTER TABLE kept OWNER TO pointsman", database)
    postgres.ask("ALTER TABLE kept FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY", database)
    postgres.ask("INSERT INTO kept VALUES ('acme', '[1,2]'), ('beta', '[3,4]')", database)
    dump, restore = re.findall(r"^docker compose exec -T postgres (pg_\w+ .*)$", page, re.MULTILINE)

    def run(command: str) -> int:
        named = re.sub(r"\bpointsman(?= [<>])|(?<=--dbname )pointsman", database, command)
        there = {"PATH": f"{postgres.bin}:/usr/bin:/bin", "PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)}
        return subprocess.run(["sh", "-c", named], cwd=tmp_path, env=there, check=False, capture_output=True).returncode

    assert run(dump.replace("postgres ", "pointsman ")) != 0  # the role sees no tenant's rows, and none are left out
    assert run(dump) == 0
    postgres.ask("DELETE FROM kept", database)
    assert run(restore) == 0
    assert postgres.ask("SELECT count(*) FROM kept", database) == "2"


@pytest.mark.services
def test_redis_lets_in_whoever_has_the_password_and_keeps_nothing(services: dict[str, Service], tmp_path: Path) -> None:
    (tmp_path / "redis-acl").write_text("user default on >secret ~* &* +@all\n", "utf-8")
    options = [part.replace("/run/secrets", str(tmp_path)) for part in services["redis"]["command"][1:]]

    class Composed(Redis):
        def command(self) -> list[str]:
            return [super().command()[0], "--port", str(self.port), "--bind", "127.0.0.1", *options]

    server = Composed(tmp_path).start()
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as stranger:
            stranger.sendall(b"PING\r\n")
            told = stranger.recv(100).decode()
        with redis.Redis(port=server.port, password="secret") as known:
            assert known.config_get("save") == {"save": ""}
    finally:
        server.stop()
    healthy = services["redis"]["healthcheck"]["test"][1].split("'")[1]
    assert told.startswith("-NOAUTH")
    assert re.search(healthy, told)


def test_prometheus_scrapes_every_replica_with_the_key_and_evaluates_the_alerts(
    services: dict[str, Service], deploy: Path
) -> None:
    asked = yaml.safe_load((deploy / "prometheus.yml").read_text("utf-8"))
    [job] = asked["scrape_configs"]
    [found] = job["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["pointsman"], Settings().port)
    assert f'up{{job="{job["job_name"]}"}}' in (deploy / "alerts.yml").read_text("utf-8")
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{services['prometheus']['secrets'][0]}"
    assert job.get("metrics_path", "/metrics") in {route.path for route in ROUTES if route.needs == "operator"}
    inside = {
        str(Path(target).relative_to("/etc/prometheus"))
        for _, target in mounts(services["prometheus"])
        if "etc" in target
    }
    assert inside == {"prometheus.yml", *asked["rule_files"]}


def test_grafana_is_given_its_source_and_the_dashboard(services: dict[str, Service], deploy: Path) -> None:
    placed = dict(mounts(services["grafana"]))
    [source] = yaml.safe_load((deploy / "grafana" / "datasource.yml").read_text("utf-8"))["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    [provider] = yaml.safe_load((deploy / "grafana" / "dashboards.yml").read_text("utf-8"))["providers"]
    assert placed["./deploy/grafana/pointsman.json"] == f"{provider['options']['path']}/pointsman.json"
    assert placed["./deploy/grafana/datasource.yml"].startswith("/etc/grafana/provisioning/datasources/")
    assert placed["./deploy/grafana/dashboards.yml"].startswith("/etc/grafana/provisioning/dashboards/")


def test_the_proxy_asks_the_replicas_where_they_listen_and_lets_go_of_connections_first(deploy: Path) -> None:
    text = (deploy / "replicas.Caddyfile").read_text("utf-8")
    assert f"dynamic a pointsman {Settings().port} {{" in text
    assert "\n:8080 {" in text
    assert "keepalive 4s" in text
