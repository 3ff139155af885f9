"""A data folder on a network's file system is refused with what to do; local ones are taken."""

from pathlib import Path

import pytest

from controlplane.data_folder import lock_folder
from controlplane.errors import BadSetting
from controlplane.filesystems import magic_of, refuse_network

NETWORK = {
    "nfs": 0x6969,
    "smb": 0x517B,
    "cifs": 0xFF534D42,
    "smb2": 0xFE534D42,
    "9p": 0x01021997,
    "sshfs": 0x65735546,
    "ceph": 0x00C36400,
    "afs": 0x5346414F,
    "lustre": 0x0BD00BD0,
    "vboxsf": 0x786F4256,
}
LOCAL = {
    "ext4": 0xEF53,
    "xfs": 0x58465342,
    "btrfs": 0x9123683E,
    "zfs": 0x2FC12FC1,
    "f2fs": 0xF2F52010,
    "tmpfs": 0x01021994,
    "overlay": 0x794C7630,
    "not told": None,
}


@pytest.mark.parametrize("name", NETWORK)
def test_a_network_file_system_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(BadSetting, match=r"/srv/data lies on .*set POINTSMAN_DATA_DIR to a folder on a local disk"):
        refuse_network(Path("/srv/data"), NETWORK[name])


@pytest.mark.parametrize("name", LOCAL)
def test_a_local_file_system_is_taken(name: str) -> None:
    refuse_network(Path("/srv/data"), LOCAL[name])


def test_the_system_tells_what_a_folder_lies_on(tmp_path: Path) -> None:
    assert magic_of(tmp_path) in set(LOCAL.values())
    assert magic_of(Path("/proc")) in (0x9FA0, None)


def test_a_folder_is_looked_at_before_it_is_locked(tmp_path: Path) -> None:
    """The start of a server, a rebuild and a restore all pass here."""
    with open(lock_folder(tmp_path / "data")):
        assert (tmp_path / "data" / "lock").exists()
