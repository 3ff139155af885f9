"""Rendered manifests: by kustomize where the machine has it, else by a small loader for what our files use of it.

The loader knows resources, components, patches by kind (strategic merge), a namespace, images and generated ConfigMaps.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
MERGED_BY = {"containers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath"}
WITHOUT_NAMESPACE = ("Namespace",)
COMMANDS = (("kustomize", "build"), ("kubectl", "kustomize"))


def rendered(folder: Path) -> list[Document]:
    """Every document that `kubectl apply -k` would send for this folder."""
    for program, command in COMMANDS:
        if path := shutil.which(program):
            said = subprocess.run([path, command, str(folder)], check=True, capture_output=True, text=True)
            return list(yaml.safe_load_all(said.stdout))
    return loaded(folder)


def loaded(folder: Path) -> list[Document]:
    """The same without kustomize; raises KeyError for a field that this loader does not know."""
    return _completed(folder, [])


def _completed(folder: Path, above: list[Document]) -> list[Document]:
    """What a kustomization makes of its own resources and, if it is a component, of those above it."""
    asked: Document = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    documents = above
    for field, value in asked.items():
        match field:
            case "resources":
                documents = documents + [d for name in value for d in _of(folder / name)]
            case "configMapGenerator":
                options = asked["generatorOptions"]
                documents = documents + [_generated(folder, one, options) for one in value]
            case "components":
                for name in value:
                    documents = _completed(folder / name, documents)
            case "patches":
                for patch in value:
                    documents = [_patched(d, folder, patch) for d in documents]
            case "namespace" | "images":
                pass  # of everything, so they come last
            case "apiVersion" | "kind" | "generatorOptions":
                pass
            case _:
                raise KeyError(f"{folder.name}: {field}")
    for document in documents:
        if "namespace" in asked and document["kind"] not in WITHOUT_NAMESPACE:
            document["metadata"]["namespace"] = asked["namespace"]
        for image in asked.get("images", []):
            _name_images(document, image)
    return documents


def _of(path: Path) -> list[Document]:
    return loaded(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text("utf-8")))


def _generated(folder: Path, asked: Document, options: Document) -> Document:
    if options != {"disableNameSuffixHash": True}:
        raise KeyError(f"{folder.name}: {options}")
    metadata = {"name": asked["name"], **asked.get("options", {})}
    data = {Path(name).name: (folder / name).read_text("utf-8") for name in asked["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _patched(document: Document, folder: Path, patch: Document) -> Document:
    if patch["target"] != {"kind": document["kind"]}:
        return document
    change = yaml.safe_load((folder / patch["path"]).read_text("utf-8"))
    return _merged(document, {"spec": change["spec"]})


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    both = {**old}
    for field, value in new.items():
        key = MERGED_BY.get(field)
        if field in old and key:
            named = {item[key]: item for item in old[field]}
            both[field] = list((named | {item[key]: _merged(named.get(item[key]), item) for item in value}).values())
        else:
            both[field] = _merged(old.get(field), value)
    return both


def _name_images(document: Document, image: Document) -> None:
    for container in containers(document):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"


def pod(document: Document) -> Document | None:
    """The pod that a workload makes, None of what makes none."""
    template: Document | None = document.get("spec", {}).get("template")
    return template


def containers(document: Document) -> list[Document]:
    """The containers of a workload's pod."""
    made = pod(document)
    return list(made["spec"]["containers"]) if made else []
