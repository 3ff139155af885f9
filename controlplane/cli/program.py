"""The program: its name, its groups of commands, and how every command ends."""

import math
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import cyclopts
from cyclopts import Parameter, Token
from cyclopts.validators import Number
from rich.console import Console
from rich.markup import escape

from .. import __version__
from ..errors import PointsmanError

REFUSED, UNREACHABLE, INTERRUPTED = 1, 3, 130


def read_weights(kind: Any, tokens: Sequence[Token]) -> dict[str, float]:
    """Weights of terms, each written as TERM=WEIGHT.

    Raises:
      ValueError: one is not.
    """
    found: dict[str, float] = {}
    for token in tokens:
        term, _, weight = token.value.partition("=")
        try:
            found[term] = float(weight)
        except ValueError:
            found[term] = math.nan
        if not term or not math.isfinite(found[term]):
            raise ValueError(f"{token.value!r} is no TERM=WEIGHT, as latency=0.5")
    return found


Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]
Share = Annotated[float, Parameter(validator=Number(gte=0, lte=1))]
Some = Annotated[int, Parameter(validator=Number(gte=1))]
Weights = Annotated[
    dict[str, float] | None,
    Parameter(converter=read_weights, accepts_keys=False, n_tokens=-1, consume_multiple=True, negative=""),
]
Url = Annotated[str | None, Parameter(help="The server's address; by default what the settings say.")]

app = cyclopts.App(
    name="pointsman", version=__version__, help="A reinforcement-learning routing control plane for AI agents."
)


class Failed(Exception):
    """The command cannot go on; the message says why and what to do."""

    def __init__(self, message: str, code: int = REFUSED) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (Failed, PointsmanError) as error:
        _refuse(str(error), error.code if isinstance(error, Failed) else REFUSED)
    except PermissionError as error:
        _refuse(f"{error.filename}: {error.strerror}; run this as the user it belongs to", REFUSED)


def _refuse(said: str, code: int) -> NoReturn:
    Console(stderr=True).print(f"[red]pointsman:[/red] {escape(said)}", highlight=False, soft_wrap=True)
    sys.exit(code)
