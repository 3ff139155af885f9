"""Replays at rest: each a file, found again as it was, or named and gone."""

from pathlib import Path

from controlplane.replay.at_rest import ReplayAtRest, ReplayFiles
from controlplane.replay.window import Window

WINDOW = Window(tenant="default", point="route", last=7)
UNDER_WAY = ReplayAtRest(window=WINDOW, policy={"policy": {"kappa": 5.0}}, state="running", begun=2, done=3, of=9)
OVER = ReplayAtRest(window=WINDOW, policy={}, state="done", report={"decisions": 9})


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_what_was_written_is_read_in_the_order_in_which_it_was_asked_for(tmp_path: Path) -> None:
    files = ReplayFiles(tmp_path)
    files.write("rp_2", UNDER_WAY)
    files.write("rp_1", OVER)
    assert list(files.read().items()) == [("rp_1", OVER), ("rp_2", UNDER_WAY)]
    assert ReplayFiles(tmp_path / "not there").read() == {}


def test_finished_blocks_go_when_the_replay_is_over(tmp_path: Path) -> None:
    files = ReplayFiles(tmp_path)
    files.blocks("rp_1").write_bytes(b"blocks")
    files.write("rp_1", UNDER_WAY)
    assert files.blocks("rp_1").exists()
    files.write("rp_1", OVER)
    assert names(tmp_path) == {"rp_1.replay"}
    files.forget("rp_1")
    assert names(tmp_path) == set()


def test_a_damaged_file_costs_its_own_replay_alone(tmp_path: Path) -> None:
    """Cut short, with a changed byte, or of something else."""
    files = ReplayFiles(tmp_path)
    for name in ("rp_1", "rp_2", "rp_3", "rp_4"):
        files.write(name, OVER)
    whole = (tmp_path / "rp_1.replay").read_bytes()
    for name, content in (("rp_1", whole[:-1]), ("rp_2", whole[:-1] + b"?"), ("rp_3", b"else")):
        (tmp_path / f"{name}.replay").write_bytes(content)
        files.blocks(name).write_bytes(b"blocks")
    assert list(files.read()) == ["rp_4"]
    assert names(tmp_path) == {"rp_4.replay"}
