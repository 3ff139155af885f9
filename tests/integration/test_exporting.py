"""What a server journalled, as files: the same decisions, and of the same worth on every engine."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from controlplane.data_folder import open_journal
from controlplane.origin import find
from controlplane.replay.export import Exported, export
from controlplane.replay.exported import decisions, groups

from .test_replaying_the_journal import live, read

Serve = Callable[..., Any]


def exported(server: Any, folder: Path) -> Exported:
    async def run() -> Exported:
        data = Path(server.settings.data_dir)
        journal = await open_journal(data)
        try:
            return await export(journal, find(data, journal.archives), folder, lambda done, of: None)
        finally:
            await journal.close()

    return asyncio.run(run())


def test_files_hold_the_decisions_of_the_journal_and_what_they_leave_out_is_said(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=0.4)
    live(server, 12)
    made = exported(server, tmp_path / "out")
    found = {group.point: list(decisions(file for file, _ in group.files)) for group in groups(tmp_path / "out")}
    for point in ("route", "gate"):
        log = read(server, point=point)
        assert found[point] == log.decisions
        [part] = [part for part in made.parts if part.point == point]
        assert (part.tenant, part.decisions, part.left_out) == ("default", len(log.decisions), log.left_out)
    assert any(d.following for d in found["gate"])
    assert any(d.sight.situation.state.sketch for d in found["route"])
    assert made.decisions == sum(map(len, found.values()))
    assert made.size_bytes == sum(file.stat().st_size for file in (tmp_path / "out").rglob("*.parquet"))
