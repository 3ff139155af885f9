"""A journal as servers write it, exported and replayed: what its decisions weigh, and how fast they are gone over."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from controlplane.replay.engines import Local
from controlplane.replay.exported import Group, groups
from controlplane.replay.shards import replay_files

from ..refolding import command, repeated, session, write
from .play import TARGETS

EVENTS = 40_000


def journalled() -> dict[str, Any]:
    """A session of agents alone, in which hardly anything comes twice, and the same repeated to so many events."""
    events = session()
    return {"session": _exported(events, len(events)), "repeated": _exported(events, EVENTS)}


def _exported(events: Any, length: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="pointsman-bench-") as made:
        folder, out = Path(made) / "data", Path(made) / "out"
        folder.mkdir()
        asyncio.run(write(folder, repeated(events), length))
        took_s = command("export", str(out), "--data-dir", str(folder))
        found = groups(out)
        decisions = sum(group.decisions for group in found)
        told = {group.point: _weighed(group) for group in found}
    return {"events": length, "decisions": decisions, "export_per_s": round(decisions / took_s), **told}


def _weighed(group: Group) -> dict[str, Any]:
    """Bytes, and decisions in a second of one core's time."""
    size = sum(file.stat().st_size for file, _ in group.files)
    rates = {}
    for name, target in TARGETS.items():
        begun = time.process_time()
        replay_files([group], lambda point, target=target: target, Local(), lambda done, of: None)
        rates[f"{name}_per_cpu_s"] = round(group.decisions / (time.process_time() - begun))
    return {"decisions": group.decisions, "bytes_per_decision": round(size / group.decisions), **rates}
