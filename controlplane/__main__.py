"""`pointsman`, and `python -m controlplane`, which is the same.

An agent waits for `pointsman hook` at every call, so it is served before the command line is even loaded.
"""

import os
import sys

FOR_PEOPLE = ("install", "uninstall", "--help", "-h")  # what may follow `hook` on the command line


def main() -> None:
    """Run the command line, or answer one event of an agent.

    Unknown words after `hook` are passed over: the command line would refuse them with exit code 2, and an agent
    reads that as a denial of its call.
    """
    if sys.argv[1:2] == ["hook"] and sys.argv[2:3] not in [[word] for word in FOR_PEOPLE] and not os.isatty(0):
        from .hook.run import run

        run()
    else:
        from .cli import main as command_line

        command_line()


if __name__ == "__main__":
    main()
