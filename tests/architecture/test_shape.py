"""Small files, small functions, honest names, no swallowed error, no unfinished work. Offenders are listed."""

import ast
import re
from collections.abc import Callable

from .sources import PACKAGES, Module, modules, of

LONGEST_FILE, LONGEST_FUNCTION = 350, 60
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base", "core", "manager", "stuff"}
LOUD = {"exception", "error", "critical", "warning"}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+TABLE)\b")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|WIP|NotImplementedError)\b")


def offenders(wrong: Callable[[Module, ast.AST], bool], among: list[Module] | None = None) -> list[str]:
    """file:line of everything that is wrong."""
    every = list(modules().values()) if among is None else among
    return [
        f"{module.where}:{getattr(node, 'lineno', 1)}"
        for module in every
        for node in ast.walk(module.tree)
        if wrong(module, node)
    ]


def test_files_are_short_enough_to_read() -> None:
    assert {m.where: m.lines for m in modules().values() if m.lines > LONGEST_FILE} == {}


def test_functions_are_short_enough_to_see() -> None:
    def too_long(module: Module, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and (node.end_lineno or node.lineno) - node.lineno >= LONGEST_FUNCTION
        )

    assert offenders(too_long) == []


def test_files_are_named_by_a_noun_of_the_field() -> None:
    assert [name for name in modules() if set(name.lower().split(".")) & VAGUE] == []


def test_files_open_by_saying_what_they_are() -> None:
    assert [m.where for m in modules().values() if m.text.strip() and not ast.get_docstring(m.tree)] == []


def test_public_classes_say_what_they_are() -> None:
    def undocumented(module: Module, node: ast.AST) -> bool:
        return isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not ast.get_docstring(node)

    assert offenders(undocumented) == []


def test_every_handler_names_what_it_catches() -> None:
    assert offenders(lambda module, node: isinstance(node, ast.ExceptHandler) and node.type is None) == []


def test_no_error_is_swallowed() -> None:
    """A handler does something; one that catches everything raises, logs, or keeps what it heard."""

    def swallows(module: Module, node: ast.AST) -> bool:
        if not isinstance(node, ast.ExceptHandler):
            return False
        everything = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
        idle = all(isinstance(statement, ast.Pass | ast.Continue | ast.Constant) for statement in node.body)
        return idle or (everything and not _raises_or_tells(node))

    assert offenders(swallows) == []


def _raises_or_tells(handler: ast.ExceptHandler) -> bool:
    inside = [node for statement in handler.body for node in ast.walk(statement)]
    return any(
        isinstance(node, ast.Raise)
        or (isinstance(node, ast.Attribute) and node.attr in LOUD)
        or (isinstance(node, ast.Name) and node.id == handler.name)
        for node in inside
    )


def test_nothing_suppresses_every_error() -> None:
    def suppresses(module: Module, node: ast.AST) -> bool:
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress")):
            return False
        return bool({ast.unparse(arg) for arg in node.args} & {"Exception", "BaseException"})

    assert offenders(suppresses) == []


def test_nothing_is_left_unfinished() -> None:
    assert [m.where for m in modules().values() if UNFINISHED.search(m.text)] == []


def test_sql_lives_in_sql_files() -> None:
    def is_sql(module: Module, node: ast.AST) -> bool:
        return isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value) is not None

    assert offenders(is_sql, of("controlplane")) == []


def test_flags_are_named_by_the_caller() -> None:
    """Two booleans in a row read as noise."""

    def noisy(module: Module, node: ast.AST) -> bool:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        return sum(a.annotation is not None and ast.unparse(a.annotation) == "bool" for a in node.args.args) > 1

    assert offenders(noisy) == []


def test_packages_are_typed() -> None:
    assert all((modules()[package].path.parent / "py.typed").exists() for package in PACKAGES)


def test_offenders_would_be_found() -> None:
    """The searches above see what they look for."""
    bad = ast.parse("try:\n    f()\nexcept:\n    pass\n\ntry:\n    f()\nexcept Exception:\n    x = 1\n")
    first, second = [node for node in ast.walk(bad) if isinstance(node, ast.ExceptHandler)]
    assert first.type is None
    assert not _raises_or_tells(second)
    assert SQL.search("INSERT OR REPLACE INTO learned (x) VALUES (?)")
    assert len(modules()) > 80
