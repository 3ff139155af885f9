"""`pointsman`, and `python -m controlplane`, which is the same.

An agent waits for `pointsman hook` at every call, so it is served before the command line is even loaded.
"""

import os
import sys


def main() -> None:
    """Run the command line, or answer one event of an agent."""
    if sys.argv[1:] == ["hook"] and not os.isatty(0):
        from .hook.run import run

        run()
    else:
        from .cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
