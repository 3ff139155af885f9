"""A data folder of before skills had a history (format 3): what its server wrote down lacks what is learnt today.

golden/format-3.tar.gz: a server of that version lived as `live` of tests/integration/test_rebuild.py does, kept a
checkpoint, lived on, went back to the checkpoint, lived on, and stopped.
"""

import tarfile
from pathlib import Path

import pytest

from auditor import State
from auditor.at_rest import FORMAT, decode_tenant
from controlplane.checkpoints import unseal
from controlplane.errors import PointsmanError

from ..integration.conftest import Running, chosen
from ..integration.test_archive import moved
from ..integration.test_rebuild import verify
from .golden_journals import GOLDEN

EARLIER = 3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(GOLDEN / "format-3.tar.gz") as kept:
        kept.extractall(tmp_path, filter="data")
    return tmp_path


def newest(folder: Path) -> State:
    return State.load(unseal(max((folder / "recovery").glob("*.fold")).read_bytes()))


def test_what_an_earlier_version_wrote_down_is_read_and_told_by_its_format(folder: Path) -> None:
    [checkpoint] = (folder / "checkpoints").iterdir()
    learnt = newest(folder)
    assert (learnt.format, decode_tenant(unseal(checkpoint.read_bytes())).format) == (EARLIER, EARLIER)
    assert [skill.history for skill in learnt.of("default").skills.by_episode.values()] == [[]]


def test_the_first_start_folds_the_journal_again_and_calls_nothing_damaged(folder: Path) -> None:
    with pytest.raises(PointsmanError, match="start the server once"):
        verify(chosen(folder))
    with Running(chosen(folder)) as server:
        status = server.get("/status")
        assert status["recovery"]["damaged"] == []
    found, learnt = verify(chosen(folder)), newest(folder)
    assert (found.differences, learnt.format) == ([], FORMAT)
    assert all(skill.history for skill in learnt.of("default").skills.by_episode.values())


def test_a_checkpoint_of_an_earlier_version_is_gone_back_to_as_it_is_folded_today(folder: Path) -> None:
    with Running(chosen(folder)) as server:
        [kept] = server.get("/v1/checkpoints")
        server.post(f"/v1/checkpoints/{kept['checkpoint_id']}/restore")
    assert verify(chosen(folder)).differences == []
    moved(folder, 5)
    with Running(chosen(folder)) as server:
        server.post(f"/v1/checkpoints/{kept['checkpoint_id']}/restore")
    assert verify(chosen(folder)).differences == []
