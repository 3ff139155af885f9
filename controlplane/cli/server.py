"""Commands about the server of this machine: serve, look at the settings."""

from pathlib import Path
from typing import TYPE_CHECKING

import cyclopts
import msgspec

from .. import __version__, settings
from ..llm.catalogue import Catalogue
from ..settings import Settings
from .output import lines, show, table
from .program import Failed, Flag, Json, Url, app

if TYPE_CHECKING:
    from ..administration import FirstKeys

config = cyclopts.App(name="config", help="Show and check the settings.")
app.command(config)


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    data_dir: str | None = None,
    insecure_local: Flag = False,
) -> None:
    """Serve the API until interrupted.

    Args:
      host: Address to listen on.
      port: Port to listen on; 0 takes a free one.
      data_dir: Where the journal and the learnt state lie.
      insecure_local: Read no keys; every caller is the tenant `default`.
    """
    from ..serving import serve as run

    chosen = settings.load(
        overrides={"host": host, "port": port, "data_dir": data_dir, "insecure_local": insecure_local or None}
    )
    run(chosen, lambda url, keys: _announce(chosen, url, keys))


def _announce(chosen: Settings, url: str, keys: "FirstKeys | None") -> None:
    lines(f"Pointsman {__version__} at {url}", f"data in {chosen.data_dir}", f"docs at {url}/docs")
    if chosen.insecure_local:
        lines("no keys are read: whoever reaches this address may do anything")
    if keys:
        lines(
            "",
            "Two keys were made. They are shown this once; keep them:",
            f"  an operator's, for /v1/admin   {keys.admin}",
            f"  the tenant default's           {keys.tenant}",
            "",
            "Commands and the hook send POINTSMAN_API_KEY. Try it:",
            "",
            f"export POINTSMAN_API_KEY={keys.tenant}",
            f"curl -sS {url}/v1/decisions -H \"X-API-Key: $POINTSMAN_API_KEY\" -H 'Content-Type: application/json' \\",
            """  -d '{"goal": "Push my work to the server", "planned_action": "git push"}'""",
        )


@app.command
def ping(*, url: Url = None, json: Json = False) -> None:
    """Ask whether the server's process answers; the exit code tells."""
    from .client import call

    answer = call("GET", "/livez", None, url)
    show(answer, json, lambda: lines(answer["status"]))


@app.command
def doctor(*, data_dir: str | None = None, json: Json = False) -> None:
    """Look for what would keep a server from starting, from keeping its promises, or from being fast.

    Args:
      data_dir: The data folder to look at; by default what the settings say.
    """
    from ..clock import SystemClock
    from ..doctor import examine

    found = list(examine(settings.load(overrides={"data_dir": data_dir}), SystemClock()))
    rows = [msgspec.structs.asdict(finding) for finding in found]
    show(rows, json, lambda: lines(*(f"{row['state']:<8} {row['about']:<12} {row['said']}" for row in rows)))
    if any(finding.state == "broken" for finding in found):
        raise Failed("something is broken; what to do stands beside it")


@app.command(name="alarm-key")
def alarm_key(*, data_dir: str | None = None, json: Json = False) -> None:
    """Print the key that alarms are signed with; it follows from the pepper of the data folder, or of all replicas.

    Args:
      data_dir: The data folder; by default what the settings say.
    """
    from ..alarms import LABEL
    from ..tenants import derived, read_pepper, settled_pepper

    loaded = settings.load(overrides={"data_dir": data_dir})
    folder = Path(loaded.data_dir)
    if loaded.database_url is None and not folder.exists():
        raise Failed(f"there is no data folder {folder} yet; start the server once")
    pepper = read_pepper(folder) if loaded.database_url is None else settled_pepper(loaded.pepper)
    key = derived(pepper, LABEL).hex()
    show({"alarm_key": key}, json, lambda: lines(key))


@config.command(name="show")
def config_show(*, json: Json = False) -> None:
    """Show every setting, its value and what it does."""
    now = settings.load().shown()
    rows = [{"setting": d.env, "value": now[d.name], "default": d.default, "help": d.help} for d in settings.table()]
    show(rows, json, lambda: table(rows, ("setting", "value", "help")))


@config.command(name="check")
def config_check(*, file: Path | None = None, json: Json = False) -> None:
    """Check the settings without starting anything.

    Args:
      file: A settings file; by default pointsman.toml.
    """
    from ..embedders import refuse_unusable

    loaded = settings.load(file=file)
    Catalogue.load(loaded.catalogue)
    refuse_unusable(loaded)
    show({"ok": True, "hash": loaded.hash}, json, lambda: lines(f"The settings are fine (hash {loaded.hash})."))
