"""What `kubectl apply -k` would send: valid, locked up, and each reference leads to what is there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from controlplane.http.routes import ROUTES
from controlplane.serving import GRACE_S
from controlplane.settings import Settings

from .crds import SCHEMAS
from .rendering import Document, containers, loaded, pod, rendered

OLDEST = "1.30"  # from it on a pod may sleep before it stops
USER = 10001
Installation = dict[str, list[Document]]  # documents by kind


@pytest.fixture(scope="module")
def installations(root: Path) -> dict[str, list[Document]]:
    return {name: rendered(root / "k8s" / name) for name in ("embedded", "production")}


def by_kind(documents: list[Document]) -> Installation:
    return {kind: [d for d in documents if d["kind"] == kind] for kind in {d["kind"] for d in documents}}


@pytest.fixture(scope="module")
def production(installations: dict[str, list[Document]]) -> Installation:
    return by_kind(installations["production"])


@pytest.fixture(scope="module")
def embedded(installations: dict[str, list[Document]]) -> Installation:
    return by_kind(installations["embedded"])


@pytest.fixture(scope="module", params=["embedded", "production"])
def installation(request: pytest.FixtureRequest, installations: dict[str, list[Document]]) -> Installation:
    return by_kind(installations[request.param])


def workload(installation: Installation) -> Document:
    """The one document that makes pods."""
    [made] = [document for documents in installation.values() for document in documents if pod(document)]
    return made


def spec(installation: Installation) -> dict[str, Any]:
    """Of its pod."""
    made = pod(workload(installation))
    assert made is not None
    return dict(made["spec"])


def container(installation: Installation) -> dict[str, Any]:
    [only] = containers(workload(installation))
    return only


def one(installation: Installation, kind: str) -> dict[str, Any]:
    [only] = installation[kind]
    return only


def chooses(labels: dict[str, str], document: Document) -> bool:
    """Whether a selector's labels are among those of the document or, of a workload, of its pod."""
    made = pod(document) or document
    return labels.items() <= made["metadata"].get("labels", {}).items()


def sorted_lists(value: Any) -> Any:
    """The same with lists in an order of their own: two renderers need not agree on it."""
    if isinstance(value, dict):
        return {key: sorted_lists(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(sorted_lists, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def test_every_manifest_opens_with_its_why(root: Path) -> None:
    files = [*(root / "k8s").rglob("*.yaml"), root / "compose.yaml", root / "deploy" / "kustomization.yaml"]
    assert len(files) > 10
    assert [path.name for path in files if len(path.read_text("utf-8").partition("\n")[0]) < 60] == []
    assert [path.name for path in files if not path.read_text("utf-8").startswith("# ")] == []


@pytest.mark.parametrize("name", ["embedded", "production"])
def test_the_loader_renders_what_kustomize_renders(root: Path, name: str) -> None:
    """Where there is no kustomize it stands in for it, and is compared with itself."""
    ours, theirs = loaded(root / "k8s" / name), rendered(root / "k8s" / name)
    assert sorted_lists(ours) == sorted_lists(theirs)


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_every_document_fits_the_schema_of_kubernetes(installations: dict[str, list[Document]], version: str) -> None:
    for document in [document for documents in installations.values() for document in documents]:
        if document["kind"] in SCHEMAS:
            jsonschema.validate(document, SCHEMAS[document["kind"]])
        else:
            kubernetes_validate.validate(document, version, strict=True)


def test_a_field_that_does_not_exist_is_found(production: Installation) -> None:
    wrong = one(production, "PodDisruptionBudget") | {"spec": {"minimumAvailable": 1}}
    with pytest.raises(kubernetes_validate.ValidationError, match="minimumAvailable"):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)
    with pytest.raises(jsonschema.ValidationError, match="endpoints"):
        jsonschema.validate(
            one(production, "ServiceMonitor") | {"spec": {"selector": {"matchLabels": {}}}}, SCHEMAS["ServiceMonitor"]
        )


def test_production_has_all_that_is_said_of_it(production: Installation) -> None:
    promised = {
        "Namespace",
        "ServiceAccount",
        "Service",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
    }
    assert set(production) == promised | {"NetworkPolicy", "ServiceMonitor", "ConfigMap"}


def test_embedded_is_one_replica_on_one_volume_and_nothing_makes_it_more(embedded: Installation) -> None:
    assert set(embedded) == {"Namespace", "ServiceAccount", "Service", "StatefulSet"}
    made = workload(embedded)["spec"]
    [claim] = made["volumeClaimTemplates"]
    assert (made["replicas"], claim["spec"]["accessModes"]) == (1, ["ReadWriteOnce"])
    assert {"name": claim["metadata"]["name"], "mountPath": "/data"} in container(embedded)["volumeMounts"]
    assert set(made["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}


def test_everything_lies_in_one_namespace(installation: Installation) -> None:
    namespace = one(installation, "Namespace")["metadata"]["name"]
    others = [d for kind, documents in installation.items() if kind != "Namespace" for d in documents]
    assert {document["metadata"]["namespace"] for document in others} == {namespace}


def test_selectors_find_the_pods(installation: Installation) -> None:
    made = workload(installation)
    selectors = [one(installation, "Service")["spec"]["selector"], made["spec"]["selector"]["matchLabels"]]
    for kind, where in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        selectors += [document["spec"][where]["matchLabels"] for document in installation.get(kind, [])]
    spread = spec(installation).get("topologySpreadConstraints", [])
    selectors += [constraint["labelSelector"]["matchLabels"] for constraint in spread]
    assert [labels for labels in selectors if not labels or not chooses(labels, made)] == []


def test_ports_are_called_what_the_pod_calls_them(installation: Installation) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(installation)["ports"]}
    assert ports == {"http": Settings().port}
    [served] = one(installation, "Service")["spec"]["ports"]
    opened = [p for d in installation.get("NetworkPolicy", []) for rule in d["spec"]["ingress"] for p in rule["ports"]]
    probes = [probe["httpGet"] for name, probe in container(installation).items() if name.endswith("Probe")]
    named = [served["targetPort"], *(port["port"] for port in opened), *(probe["port"] for probe in probes)]
    assert set(named) == set(ports)


def test_probes_ask_routes_that_want_no_key(installation: Installation) -> None:
    free = {route.path for route in ROUTES if route.needs == "nobody"}
    asked = {
        name: container(installation)[name]["httpGet"]["path"]
        for name in ("livenessProbe", "readinessProbe", "startupProbe")
    }
    assert asked == {"livenessProbe": "/livez", "readinessProbe": "/readyz", "startupProbe": "/startupz"}
    assert set(asked.values()) <= free


def test_the_pod_may_do_nothing_and_write_only_where_it_must(installation: Installation, root: Path) -> None:
    made, only = spec(installation), container(installation)
    assert made["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert f"USER {USER}:{USER}\n" in (root / "Dockerfile").read_text("utf-8")
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {mount["mountPath"] for mount in only["volumeMounts"] if not mount.get("readOnly")} == {"/data", "/tmp"}
    assert one(installation, "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_has_an_account_without_a_token(installation: Installation) -> None:
    account = one(installation, "ServiceAccount")
    assert spec(installation)["serviceAccountName"] == account["metadata"]["name"]
    assert (account["automountServiceAccountToken"], spec(installation)["automountServiceAccountToken"]) == (
        False,
        False,
    )


def test_the_service_sets_no_variable_that_looks_like_a_setting(installation: Installation) -> None:
    """Kubernetes would set POINTSMAN_PORT=tcp://... for a Service of that name."""
    assert spec(installation)["enableServiceLinks"] is False


def test_the_pod_asks_for_what_it_needs_and_its_cpu_is_not_throttled(installation: Installation) -> None:
    resources = container(installation)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


def test_every_mount_has_its_volume_and_every_volume_its_mount(installation: Installation) -> None:
    volumes = {volume["name"] for volume in spec(installation)["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workload(installation)["spec"].get("volumeClaimTemplates", [])}
    assert {mount["name"] for mount in container(installation)["volumeMounts"]} == volumes


def test_every_variable_of_the_pod_is_a_setting(installation: Installation, variables: set[str]) -> None:
    assert {variable["name"] for variable in container(installation)["env"]} - variables == set()


def test_the_data_folder_is_one_that_the_server_makes_itself_on_the_volume(installation: Installation) -> None:
    [folder] = [Path(v["value"]) for v in container(installation)["env"] if v["name"] == "POINTSMAN_DATA_DIR"]
    assert str(folder.parent) in {mount["mountPath"] for mount in container(installation)["volumeMounts"]}


def made_by_hand(page: str) -> dict[str, set[str]]:
    """Secrets that the page tells to make, with their keys."""
    commands = re.findall(r"create secret generic (\S+) ((?:\\\n|[^\n])+)", page)
    return {name: set(re.findall(r"--from-file=([\w-]+)", options)) for name, options in commands}


def test_every_secret_that_is_referred_to_is_one_that_the_page_tells_to_make(
    production: Installation, page: str
) -> None:
    [volume] = [volume["secret"] for volume in spec(production)["volumes"] if "secret" in volume]
    [mount] = [m["mountPath"] for m in container(production)["volumeMounts"] if m.get("readOnly")]
    variables = container(production)["env"]
    needed = {
        volume["secretName"]: {v["value"].removeprefix(f"{mount}/") for v in variables if v["name"].endswith("_FILE")}
    }
    [optional] = [v["valueFrom"]["secretKeyRef"] for v in variables if "valueFrom" in v]
    assert optional["optional"] is True
    needed[optional["name"]].add(optional["key"])
    scraped = one(production, "ServiceMonitor")["spec"]["endpoints"][0]["authorization"]["credentials"]
    needed[scraped["name"]] = {scraped["key"]}
    assert made_by_hand(page) == needed


def test_no_manifest_holds_a_secret(installations: dict[str, list[Document]]) -> None:
    assert [
        d["metadata"]["name"] for documents in installations.values() for d in documents if d["kind"] == "Secret"
    ] == []
    texts = [v["value"] for d in installations["production"] for c in containers(d) for v in c["env"] if "value" in v]
    assert [text for text in texts if "://" in text] == []


def test_the_autoscaler_scales_what_is_there_and_nobody_else_does(production: Installation) -> None:
    scaler, made = one(production, "HorizontalPodAutoscaler")["spec"], workload(production)
    target = {"apiVersion": made["apiVersion"], "kind": made["kind"], "name": made["metadata"]["name"]}
    assert scaler["scaleTargetRef"] == target
    assert "replicas" not in made["spec"]
    budget = one(production, "PodDisruptionBudget")["spec"]["maxUnavailable"]
    assert budget < scaler["minReplicas"] < scaler["maxReplicas"]


def test_a_pod_that_goes_has_time_for_what_is_under_way(installation: Installation) -> None:
    slept = container(installation).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert spec(installation)["terminationGracePeriodSeconds"] > slept + 2 * GRACE_S


def test_replicas_drain_before_they_stop_and_are_spread(production: Installation) -> None:
    assert container(production)["lifecycle"]["preStop"]["sleep"]["seconds"] > 0
    keys = [constraint["topologyKey"] for constraint in spec(production)["topologySpreadConstraints"]]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_prometheus_is_let_in_to_the_metrics_with_a_key_under_the_job_that_the_alerts_ask_for(
    production: Installation, root: Path
) -> None:
    monitor, service = one(production, "ServiceMonitor")["spec"], one(production, "Service")
    [endpoint] = monitor["endpoints"]
    assert chooses(monitor["selector"]["matchLabels"], service)
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] in {route.path for route in ROUTES if route.needs == "operator"}
    assert f'up{{job="{service["metadata"]["name"]}"}}' in (root / "deploy" / "alerts.yml").read_text("utf-8")


def test_egress_is_bounded_and_never_reaches_the_metadata_of_a_cloud(production: Installation) -> None:
    policy = one(production, "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 4222, 5432, 6379}
    blocks = [to["ipBlock"] for rule in policy["egress"] for to in rule.get("to", []) if "ipBlock" in to]
    assert ["169.254.0.0/16" in block["except"] for block in blocks if block["cidr"] == "0.0.0.0/0"] == [True]


def test_rules_and_dashboard_are_the_files_that_compose_mounts(production: Installation, root: Path) -> None:
    generated = {name: text for document in production["ConfigMap"] for name, text in document["data"].items()}
    files = {path.name: path for path in (root / "deploy").rglob("*") if path.is_file()}
    assert set(generated) == {"alerts.yml", "pointsman.json"}
    assert {name: files[name].read_text("utf-8") for name in generated} == generated
    [labels] = [d["metadata"]["labels"] for d in production["ConfigMap"] if "labels" in d["metadata"]]
    assert labels == {"grafana_dashboard": "1"}


def test_the_command_of_the_page_makes_a_rule_of_the_operator_of_the_same_file(root: Path, page: str) -> None:
    [command] = re.findall(r"```sh\n(\{ cat <<.*?)```", page, re.DOTALL)
    assert " | kubectl apply -f -\n" in command
    command = command.replace(" | kubectl apply -f -\n", "\n")
    said = subprocess.run(["sh", "-c", command], cwd=root, check=True, capture_output=True, text=True).stdout
    made = yaml.safe_load(said)
    jsonschema.validate(made, SCHEMAS["PrometheusRule"])
    assert made["spec"] == yaml.safe_load((root / "deploy" / "alerts.yml").read_text("utf-8"))
