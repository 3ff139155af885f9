"""Every module of the three packages, parsed; what it imports, by full name, wherever the import stands."""

import ast
from functools import cache
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("strategist", "auditor", "controlplane")


class Module(Struct, frozen=True):
    """One source file. `imports` holds full names: modules of ours where they are some, else what was asked for."""

    name: str
    path: Path
    text: str
    tree: ast.Module
    imports: frozenset[str]

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @property
    def roots(self) -> frozenset[str]:
        """First parts of everything imported."""
        return frozenset(name.partition(".")[0] for name in self.imports)


@cache
def modules() -> dict[str, Module]:
    """All modules by name."""
    paths = {_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
    return {name: _parse(name, path, frozenset(paths)) for name, path in paths.items()}


def of(package: str) -> list[Module]:
    """The modules of one package."""
    return [module for module in modules().values() if module.name.partition(".")[0] == package]


def _name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _parse(name: str, path: Path, ours: frozenset[str]) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text, filename=str(path))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = {full for node in ast.walk(tree) for full in _imported(node, package, ours)}
    return Module(name, path, text, tree, frozenset(found))


def _imported(node: ast.AST, package: str, ours: frozenset[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base]) if base else ".".join(parents)
    return [full if (full := f"{base}.{alias.name}") in ours else base for alias in node.names]
