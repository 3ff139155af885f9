"""The program: its name, its groups of commands, and how every command ends."""

import sys
from typing import Annotated, NoReturn

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.markup import escape

from .. import __version__
from ..errors import PointsmanError

REFUSED, UNREACHABLE = 1, 3
Flag = Annotated[bool, Parameter(negative="")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]
Some = Annotated[int, Parameter(validator=Number(gte=1))]
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
