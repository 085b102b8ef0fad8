"""A full disk at either end, at any moment of a sync: previous files stay intact, the error says how much is missing,
and the sync resumes once there is space.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.hosts.agent.disk import DiskFull
from console.hosts.agent.file_index import HashCache, index_files
from console.hosts.agent.frames import FrameDecoder
from console.hosts.agent.receive import Receiver
from console.hosts.agent.safe_dir import SafeDir
from console.hosts.agent.send import OutgoingFile, send_files
from console.hosts.host_config import HostConfig
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.transfer.errors import NoRoom
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.request import SyncRequest
from tests.console.hosts.folder_pair import tree, write
from tests.console.hosts.small_disk import fill

pytestmark = pytest.mark.server

HELD = "old file intact, the error names the disk, resumes later"
PAGE = 4096
OLD = {"a": b"old a", "sub/b": b"old b" * 1000}
NEW = {"a": b"new a" * 2000, "sub/b": b"new b" * 3000, "deep/er/c": os.urandom(30_000), "big": os.urandom(1_500_000)}


def receive_all(source: Path, target: Path) -> None:
    """A batch without its checks before: the disk fills up when it does."""
    with SafeDir(source) as local, SafeDir(target) as root:
        files = index_files(local, (), HashCache(None)).files
        receiver = Receiver(root, files)
        try:
            frames = FrameDecoder()
            for piece in send_files(local, [OutgoingFile(entry.path, entry.size) for entry in files]):
                for frame in frames.feed(piece):
                    receiver.take(*frame)
            receiver.commit()
            assert not receiver.failures
        finally:
            receiver.close()


@pytest.mark.fault("disk fills up at each write of a sync", HELD)
@pytest.mark.parametrize("pages", [*range(12), 20, 100, 300, 372, 380])
def test_whenever_the_disk_fills_up_each_file_is_the_old_or_the_new_one(
    small_disk: Path, tmp_path: Path, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.hosts.agent.receive.check_free_space", lambda *_: None)
    source = write(tmp_path / "source", NEW)
    target = write(small_disk / "target", OLD)
    filler = fill(small_disk, pages * PAGE)
    try:
        receive_all(source, target)
        assert pages > 300
    except DiskFull as full:
        assert full.disk == str(small_disk) and (full.missing is None or full.missing > 0)
        found = tree(target)
        assert set(OLD) <= set(found) and all(found[name] in (OLD.get(name), NEW[name]) for name in found)
    filler.unlink()
    receive_all(source, target)
    assert tree(target) == NEW


def test_what_cannot_fit_is_refused_before_a_byte_is_written(small_disk: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "source", {"big": bytes(3 << 20)})
    target = write(small_disk / "target", OLD)
    fill(small_disk, 1 << 20)
    with pytest.raises(DiskFull) as caught:
        receive_all(source, target)
    assert caught.value.missing is not None and abs(caught.value.missing - (2 << 20)) < 20 * PAGE
    assert tree(target) == OLD


@pytest.mark.fault("the host's disk is full in a push", HELD)
@pytest.mark.parametrize("pages", [0, 1, 2, 3, 5, 10, 40])
async def test_a_push_to_a_full_host_names_its_disk_and_resumes_later(
    small_disk: Path, tmp_path: Path, pages: int
) -> None:
    local = write(tmp_path / "local", NEW)
    workspace = small_disk / "workspace"
    request = SyncRequest(local, "project", tmp_path / "records")
    async with open_connection(HostConfig("local", "embedded"), workspace) as connection:
        await push(connection, SyncRequest(write(tmp_path / "old", OLD), "project", tmp_path / "other-records"))
        filler = fill(small_disk, pages * PAGE)
        with pytest.raises(NoRoom, match=f"^the disk of the host at {small_disk} is full"):
            await push(connection, request)
        assert tree(workspace / "project") == OLD
        filler.unlink()
        verdict = await push(connection, request)
    assert verdict.full and tree(workspace / "project") == NEW


@pytest.mark.fault("local disk is full in a pull", HELD)
@pytest.mark.parametrize("pages", [0, 1, 2, 3, 5, 10, 40])
async def test_a_pull_to_a_full_local_disk_names_it_and_resumes_later(
    small_disk: Path, tmp_path: Path, connection: HostConnection, pages: int
) -> None:
    remote = write(tmp_path / "remote", NEW)
    local = write(small_disk / "local", OLD)
    filler = fill(small_disk, pages * PAGE)
    request = SyncRequest(local, str(remote), small_disk / "records")
    with pytest.raises(NoRoom, match=f"^the disk of this machine at {small_disk} is full"):
        await pull(connection, request)
    assert tree(local) == OLD
    filler.unlink()
    assert (await pull(connection, request)).full
    assert tree(local) == NEW
