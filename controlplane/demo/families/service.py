"""A refused connection: the service that is asked is down, and another of the listed ones may be up."""

from pathlib import Path

from .family import Aside, Family, Job, Phrase, Port, Scene
from .port import answers

FACTS = """
printf 'pid_file=%s\\n' "$([ -f run/orders.pid ] && echo yes)"
printf 'yesterday=%s\\n' "$(ls yesterday.txt 2>/dev/null)"
"""

FETCH = """
import socket
import sys

named = dict(line.split("=") for line in open("servers.env").read().split())
server = sys.argv[1] if len(sys.argv) > 1 else "MAIN"
with socket.create_connection(("127.0.0.1", int(named.get(server, server)))) as connection:
    orders = connection.makefile().read()
open("orders.txt", "w").write(orders)
"""
ORDERS = "17 two loaves\n18 one cake\n"
SERVERS = ("MAIN", "MIRROR", "STANDBY")


def _scene(up: tuple[str, ...], *, pid_file: bool) -> Scene:
    """Three servers, of which some are up; the main one leaves its pid in a file while it runs, as a rule."""
    files = {"fetch.py": FETCH, "servers.env": ""}
    pid = {"run/orders.pid": "2718\n"} if pid_file else {}
    return Scene(
        cwd="bakery",
        files={f"bakery/{path}": text for path, text in {**files, **pid}.items()},
        ports=tuple(
            Port(name=name, file="bakery/servers.env", answer=ORDERS if name in up else None) for name in SERVERS
        ),
    )


SCENES = (
    (9, _scene(("MAIN", "MIRROR"), pid_file=True)),
    (6, _scene(("MIRROR",), pid_file=False)),
    (3, _scene(("STANDBY",), pid_file=False)),
    (1, _scene(("MIRROR",), pid_file=True)),
    (1, _scene(("MAIN",), pid_file=False)),
)


def ways(here: Path, command: str) -> list[str]:
    """Try which of the listed servers answers; ask it by its name, or by its port."""
    named = dict(line.split("=") for line in (here / "servers.env").read_text("utf-8").split())
    up = [name for name, port in named.items() if answers(int(port))]
    script = command.removesuffix(" MAIN")
    return [f"{script} {name}" for server in up[:1] for name in (server, named[server])]


SERVICE = Family(
    name="connection refused",
    facts=FACTS,
    aside=Aside(files={"yesterday.txt": "16 ten rolls\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Fetch today's orders for the bakery", "python fetch.py"),
                Phrase("Get the list of orders from the server", "python fetch.py"),
                Phrase("Download what was ordered for today", "python fetch.py MAIN"),
                Phrase("Ask the order server what to bake", "python ./fetch.py"),
                Phrase("Pull in this morning's orders", "python fetch.py", late=True),
                Phrase("Update the orders before the ovens are lit", "python fetch.py MAIN", late=True),
            ),
            scenes=SCENES,
            check="grep -q 'one cake' bakery/orders.txt",
        ),
    ),
)
