"""The list of failpoints is a registry: what is listed is in the code, what is in the code is listed."""

import ast

from controlplane.failpoints import FAILPOINTS

from .sources import of


def test_every_failpoint_of_the_code_is_listed_and_the_other_way_round() -> None:
    """Each name stands at one place, written out."""
    placed = [
        node.args[0].value if isinstance(node.args[0], ast.Constant) else ast.unparse(node.args[0])
        for module in of("controlplane")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "failpoint"
    ]
    assert sorted(placed) == sorted(FAILPOINTS)
