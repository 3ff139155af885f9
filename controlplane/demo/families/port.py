"""A port in use: the server of the day listens on it already, and the task wants to start another."""

import socket
from pathlib import Path

from .family import Aside, Family, Job, Phrase, Port, Scene

FACTS = """
printf 'pid_file=%s\\n' "$([ -f run/web.pid ] && echo yes)"
printf 'debug=%s\\n' "${DEBUG-}"
"""

PREVIEW = """
import socket
import sys

named = dict(line.split("=") for line in open("ports.env").read().split())
port = sys.argv[1] if len(sys.argv) > 1 else "WEB"
with socket.create_server(("127.0.0.1", int(named.get(port, port)))) as server:
    browser = socket.create_connection(server.getsockname())
    visit, _ = server.accept()
    with visit:
        visit.sendall(open("page.html", "rb").read())
    with browser:
        open("preview.html", "wb").write(browser.recv(10_000))
"""
RUNNING = "HTTP/1.0 200 OK\r\n\r\nyesterday's page\n"


def _scene(taken: tuple[str, ...], *, pid_file: bool) -> Scene:
    """Three ports, of which some are in use; a server that runs leaves its pid in a file, as a rule."""
    files = {"preview.py": PREVIEW, "page.html": "<h1>Open from nine to five</h1>\n", "ports.env": ""}
    pid = {"run/web.pid": "4711\n"} if pid_file else {}
    return Scene(
        cwd="kiosk",
        files={f"kiosk/{path}": text for path, text in {**files, **pid}.items()},
        ports=tuple(
            Port(name=name, file="kiosk/ports.env", answer=RUNNING if name in taken else None)
            for name in ("WEB", "ADMIN", "SPARE")
        ),
    )


SCENES = (
    (9, _scene((), pid_file=False)),
    (6, _scene(("WEB",), pid_file=True)),
    (3, _scene(("WEB", "ADMIN"), pid_file=True)),
    (1, _scene(("WEB",), pid_file=False)),
    (1, _scene((), pid_file=True)),
)


def ways(here: Path, command: str) -> list[str]:
    """Try which of the named ports nobody answers on; or let the system choose one."""
    named = dict(line.split("=") for line in (here / "ports.env").read_text("utf-8").split())
    free = [name for name, port in named.items() if not answers(int(port))]
    script = command.removesuffix(" WEB")
    return [f"{script} {name}" for name in (*free[:1], "0")]


def answers(port: int) -> bool:
    """Whether somebody listens on it."""
    with socket.socket() as visitor:
        return visitor.connect_ex(("127.0.0.1", port)) == 0


PORT = Family(
    name="port in use",
    facts=FACTS,
    aside=Aside(variables={"DEBUG": "1"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Preview the kiosk's new page", "python preview.py"),
                Phrase("Look at the page in a local server", "python preview.py"),
                Phrase("Serve the page once and keep what a visitor gets", "python preview.py WEB"),
                Phrase("Start a preview of the opening hours", "python ./preview.py"),
                Phrase("See how the kiosk's page looks now", "python preview.py", late=True),
                Phrase("Check the new page in the preview server", "python preview.py WEB", late=True),
            ),
            scenes=SCENES,
            check="grep -q nine kiosk/preview.html",
        ),
    ),
)
