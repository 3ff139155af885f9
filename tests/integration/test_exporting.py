"""What a server journalled, as files: the same decisions, from which the same is learnt; what has no place there."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.data_folder import open_journal
from controlplane.errors import UnusableLog
from controlplane.executor.point import Features
from controlplane.origin import find
from controlplane.replay.export import Exported, export
from controlplane.replay.exported import Group, decisions, groups
from controlplane.replay.shards import lessons, teach
from strategist import PolicySnapshot
from strategist.evaluation import Target

from .conftest import Running, chosen
from .test_replaying_the_journal import CAPTURE, GATE, live, read

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


def of(folder: Path, point: str, tenant: str = "default") -> Group:
    [group] = [group for group in groups(folder) if (group.tenant, group.point) == (tenant, point)]
    return group


def test_files_hold_the_decisions_of_the_journal_and_teach_what_the_server_learnt(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=0.4)
    live(server, 12)
    made, folder = exported(server, tmp_path / "out"), tmp_path / "out"
    for point in ("route", "gate"):
        log, group = read(server, point=point), of(folder, point)
        assert list(decisions(file for file, _ in group.files)) == log.decisions
        [part] = [part for part in made.parts if part.point == point]
        assert (part.tenant, part.decisions, part.left_out) == ("default", len(log.decisions), log.left_out)
        policy = server.service.learner.state.of("default").policies[point]
        [learnt] = map(teach, lessons([group], [Target(settings=policy.settings)]))
        assert learnt[-1] == PolicySnapshot.of(policy, "")
        assert any(d.following for d in log.decisions) == (point == "gate")
        assert any(d.sight.situation.state.sketch for d in log.decisions) == (point == "route")
    files = list(folder.rglob("*.parquet"))
    assert made.decisions == sum(group.decisions for group in groups(folder))
    assert (made.files, made.size_bytes) == (len(files), sum(file.stat().st_size for file in files))


def test_decisions_of_an_earlier_feature_spec_are_left_out_and_counted(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though they came first, and what is in force was not known when they were read."""
    server = serve(epsilon=0.4)
    live(server, 12)
    server.stop()
    newer = msgspec.structs.replace(Features("route.toml").spec, version=99)
    specs = {"route.toml": newer, "gate.toml": GATE, "chat.toml": Features("chat.toml").spec, "capture.toml": CAPTURE}
    monkeypatch.setattr("controlplane.executor.point._shipped", specs.__getitem__)
    server = serve(epsilon=0.4)
    live(server, 15)
    made = exported(server, tmp_path / "out")
    [part] = [part for part in made.parts if part.point == "route"]
    assert part.left_out == read(server, point="route").left_out
    assert "11 decision(s) are left out: they were made under another feature spec" in part.left_out
    assert of(tmp_path / "out", "route").decisions == part.decisions == 14


def test_tenants_have_folders_of_their_own(tmp_path: Path) -> None:
    with Running(chosen(tmp_path / "data", insecure_local=False, epsilon=1.0)) as server:
        assert server.service.first_keys is not None
        admin = {"X-Admin-API-Key": server.service.first_keys.admin}
        for tenant, times in (("acme", 3), ("bolt", 5)):
            server.client.post("/v1/admin/tenants", json={"tenant": tenant}, headers=admin)
            made = server.client.post("/v1/admin/keys", json={"tenant": tenant}, headers=admin).json()
            server.client.headers["X-API-Key"] = made["key"]
            for _ in range(times):
                routed = server.route(f"{tenant}/1", f"{tenant}/2")
                server.feedback(routed["trace_id"], latency_ms=20.0, cost=0.1)
        made = exported(server, tmp_path / "out")
    assert [(part.tenant, part.point, part.decisions) for part in made.parts] == [
        ("acme", "route", 3),
        ("bolt", "route", 5),
    ]
    for tenant, other in (("acme", b"bolt"), ("bolt", b"acme")):
        [(file, _)] = of(tmp_path / "out", "route", tenant).files
        actions = {action for each in decisions([file]) for action in each.sight.situation.actions}
        assert actions == {f"{tenant}/1", f"{tenant}/2"}
        assert other not in file.read_bytes()


def test_a_folder_is_made_whole_or_not_at_all(serve: Serve, tmp_path: Path) -> None:
    server = serve(epsilon=0.4)
    live(server, 6)
    interrupted = tmp_path / "out.part"
    (interrupted / "tenant=default").mkdir(parents=True)
    (interrupted / "tenant=default" / "half.tmp").touch()
    exported(server, tmp_path / "out")
    assert not interrupted.exists()
    assert {file.suffix for file in (tmp_path / "out").rglob("*") if file.is_file()} == {".parquet"}
    with pytest.raises(UnusableLog, match="out is there already"):
        exported(server, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(UnusableLog, match="cannot be written"):
        exported(server, tmp_path / "file" / "out")
    (notes := tmp_path / "mine.part" / "notes.txt").parent.mkdir()
    notes.touch()
    (tmp_path / "draft.part").touch()
    for name in ("mine", "draft"):
        with pytest.raises(UnusableLog, match="is not what an export left; move it away"):
            exported(server, tmp_path / name)
    assert notes.exists(), "nothing of others' is deleted"
