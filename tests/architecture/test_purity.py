"""The lower floors are pure and synchronous: no effect, no clock, no global random numbers, nothing awaited."""

import ast
from collections.abc import Callable, Iterator

from .sources import Module, of

LOWER = [*of("strategist"), *of("auditor")]
AWAITS = {"auditor.learner", "auditor.protocols"}  # the one consumer, and what it asks of the world
EFFECTS = {"open", "print", "input", "exec", "eval", "breakpoint", "__import__", "globals"}
OUTSIDE = ("random.", "time.", "os.", "sys.", "datetime.", "logging.")
BLAS = {"dot", "matmul", "inner", "vdot", "tensordot"}  # their order of summation depends on the machine


def dotted(node: ast.AST) -> str:
    """numpy.random.default_rng, as it is written."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def offending_calls(wrong: Callable[[str, ast.Call], bool]) -> list[str]:
    return [f"{m.where}:{call.lineno} {name}" for m in LOWER for name, call in calls(m) if wrong(name, call)]


def test_lower_floors_call_nothing_with_an_effect() -> None:
    assert offending_calls(lambda name, call: name in EFFECTS or name.startswith(OUTSIDE)) == []


def test_lower_floors_make_no_random_numbers_but_from_a_seed() -> None:
    """Draws come from the rng they are handed; the codebook's planes from its own seed."""

    def unseeded(name: str, call: ast.Call) -> bool:
        return ".random." in name and (name != "np.random.default_rng" or not call.args)

    assert offending_calls(unseeded) == []


def test_lower_floors_sum_in_a_fixed_order() -> None:
    """Bit-identity: no BLAS and no pow where values are learnt; the codebook's einsum is told not to optimise."""

    def machine_dependent(name: str, call: ast.Call) -> bool:
        last = name.rpartition(".")[2]
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        return last in BLAS | {"pow"} or (last == "einsum" and told.get("optimize") != "False")

    assert offending_calls(machine_dependent) == []
    assert [f"{m.where}:{node.lineno}" for m in LOWER for node in ast.walk(m.tree) if _power_or_product(node)] == []


def _power_or_product(node: ast.AST) -> bool:
    """`a @ b`, or `a ** b` of anything but two constants."""
    if not isinstance(node, ast.BinOp):
        return False
    constant = isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)
    return isinstance(node.op, ast.MatMult) or (isinstance(node.op, ast.Pow) and not constant)


def test_lower_floors_are_synchronous_but_for_the_learner() -> None:
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert {m.name for m in LOWER if any(isinstance(node, waiting) for node in ast.walk(m.tree))} == AWAITS


def test_lower_floors_rebind_nothing_outside_their_objects() -> None:
    """A module-level name that a function rebinds would be learnt state outside the fold."""
    rebinding = (ast.Global, ast.Nonlocal)
    assert [m.where for m in LOWER if any(isinstance(node, rebinding) for node in ast.walk(m.tree))] == []


def test_clock_and_dice_of_the_control_plane_are_where_they_can_be_replaced() -> None:
    """One clock, one maker of identifiers, one generator of exploration; demo and hook are programs of their own."""
    sources = ("time", "random", "datetime", "secrets", "uuid")
    served = [
        module
        for module in of("controlplane")
        if not module.name.startswith(("controlplane.demo", "controlplane.hook"))
    ]
    assert {source: {m.name for m in served if source in m.roots} for source in sources} == {
        "time": {"controlplane.clock", "controlplane.ids"},
        # from the setting `seed`
        "random": {
            "controlplane.plane",
            "controlplane.outbox",
            "controlplane.llm.models",
            "controlplane.reuse",
            "controlplane.executor.withholding",
            "controlplane.retrieving",
            "controlplane.embedders",
        },
        # print moments, look up the price of one, and compare with one, that they are told
        "datetime": {"controlplane.cli.output", "controlplane.llm.prices", "controlplane.memory.filters"},
        "secrets": {"controlplane.tenants.keys"},  # which nobody may be able to repeat
        "uuid": set(),
    }


def test_environment_is_read_in_one_place() -> None:
    """Settings are read once. The exceptions hand an environment on to somebody else's program."""
    readers = {
        module.name
        for module in of("controlplane")
        for node in ast.walk(module.tree)
        if dotted(node) in ("os.environ", "os.getenv")
    }
    assert readers == {
        "controlplane.settings.loading",
        "controlplane.embedding.sentence",  # tells the model library to stay offline
        "controlplane.replay.ray_workers",  # tells Ray to stay on the loopback and to tell nobody
        "controlplane.demo.servers",  # starts servers with the caller's environment
        "controlplane.demo.world",  # runs real commands with the caller's PATH
        "controlplane.hook.run",  # a program of its own, started by an agent
        "controlplane.hook.registration",  # where an agent keeps its settings
        "controlplane.hook.server",  # where the server is, for the hook alone
    }
