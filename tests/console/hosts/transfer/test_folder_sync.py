"""Folder sync with a real host: only what changed is transferred, and the verdict is what both ends hold."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent.receive import BIG_FILE
from console.hosts.host_config import HostConfig
from console.hosts.remote.agent_client import open_agent
from console.hosts.ssh.channels import HostConnection
from console.hosts.ssh.connection import open_connection
from console.hosts.ssh.errors import LinkDown
from console.hosts.transfer import batch, folder_sync
from console.hosts.transfer.channel import TransferChannel, open_transfer
from console.hosts.transfer.errors import RetryLater, SyncFailed, TooManyDeletions
from console.hosts.transfer.folder_sync import pull, push
from console.hosts.transfer.plan import DeletionCap, SyncPlan
from console.hosts.transfer.verdict import Progress, Verdict
from tests.console.hosts.folder_pair import Pair, tree, write
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.sshd import Sshd

FILES = {"train.py": b"print(1)\n", "data/a.txt": b"a" * 5000, "data/b/empty": b"", "été.txt": b"x"}
LEFT_OUT = {"model.pt": b"x", "data/w.pth": b"x", "__pycache__/m.pyc": b"x", ".git/HEAD": b"x", "runs/r/log.txt": b"x"}


async def agree(_: SyncPlan) -> bool:
    return True


@pytest.mark.every_host
async def test_a_folder_arrives_whole_without_excluded_files(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, FILES | LEFT_OUT)
    (pair.local / "train.py").chmod(0o755)
    verdict = await push(connection, pair.request())
    assert verdict.full and verdict.files == len(FILES) and verdict.bytes == sum(map(len, FILES.values()))
    assert tree(pair.remote) == FILES
    assert os.access(pair.remote / "train.py", os.X_OK) and not os.access(pair.remote / "data/a.txt", os.X_OK)


async def test_only_what_changed_is_transferred_and_a_second_push_transfers_nothing(
    pair: Pair, connection: HostConnection
) -> None:
    write(pair.local, FILES)
    first = await push(connection, pair.request())
    write(pair.local, {"train.py": b"print(2)\n", "new": b"n"})
    (pair.local / "data" / "a.txt").touch()
    changed = await push(connection, pair.request())
    nothing = await push(connection, pair.request())
    reread = await push(connection, pair.request(ignore_cache=True))
    assert (
        first.transferred_files,
        changed.transferred_files,
        nothing.transferred_files,
        reread.transferred_files,
    ) == (4, 2, 0, 0)
    assert changed.transferred_bytes == len(b"print(2)\n") + 1
    assert nothing.full and nothing.fingerprint == reread.fingerprint == changed.fingerprint != first.fingerprint
    assert tree(pair.remote) == tree(pair.local)


async def test_both_ends_keep_a_receipt(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, FILES)
    verdict = await push(connection, pair.request())
    (local,) = (pair.records / "receipts").iterdir()
    (remote,) = pair.host.workspace.glob(".sync/*/receipts/*.json")
    assert json.loads(local.read_bytes()) == json.loads(remote.read_bytes())
    kept = json.loads(local.read_bytes())
    assert kept["verdict"]["fingerprint"] == verdict.fingerprint and kept["verdict"]["files"] == 4
    assert kept["host_key"].startswith("SHA256:") and kept["local"] == str(pair.local)


async def test_a_dry_run_changes_nothing(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, FILES)
    verdict = await push(connection, pair.request(dry_run=True))
    assert verdict.dry_run and not verdict.full and len(verdict.not_synced) == 4 and not pair.remote.exists()


async def test_files_only_on_the_host_stay_unless_deletions_are_requested_and_confirmed(
    pair: Pair, connection: HostConnection
) -> None:
    write(pair.local, {"a": b"1"})
    write(pair.remote, {"extra/one": b"1", "extra/two": b"2", "a": b"0", "kept.pt": b"left out, so not deleted"})
    cap, asked = DeletionCap(files=2), []

    async def refuse(plan: SyncPlan) -> bool:
        asked.append([entry.path for entry in plan.remove])
        return False

    before = tree(pair.remote)
    for settings in (
        {"delete": cap},
        {"delete": cap, "confirm": refuse},
        {"delete": DeletionCap(files=1), "confirm": agree},
    ):
        with pytest.raises(SyncFailed):
            await push(connection, pair.request(), **settings)
        assert tree(pair.remote) == before
    with pytest.raises(TooManyDeletions, match="extra/one"):
        await push(connection, pair.request(), delete=DeletionCap(share=0.5), confirm=agree)
    assert asked == [["extra/one", "extra/two"]]
    assert (await push(connection, pair.request())).full and tree(pair.remote) == before | {"a": b"1"}
    verdict = await push(connection, pair.request(), delete=cap, confirm=agree)
    assert verdict.full and verdict.removed == 2
    assert tree(pair.remote) == {"a": b"1", "kept.pt": before["kept.pt"]}


async def test_symlinks_and_hostile_names_are_refused_by_name_and_the_rest_arrives(
    pair: Pair, connection: HostConnection
) -> None:
    write(pair.local, {"a": b"1", "-rf": b"", "b\n": b"", "Case": b"", "case": b""})
    (pair.local / "link").symlink_to("/etc/passwd")
    verdict = await push(connection, pair.request())
    assert not verdict.full and tree(pair.remote) == {"a": b"1"}
    assert {refusal.path for refusal in verdict.refused} == {"-rf", "b ", "Case", "case", "link"}
    assert "refused" in verdict.sentence() and verdict.sentence().startswith("NOT in full sync")


async def test_a_symlink_on_the_host_is_not_written_through(
    pair: Pair, connection: HostConnection, tmp_path: Path
) -> None:
    write(pair.local, {"d/a": b"1", "e": b"2", "f": b"3"})
    write(tmp_path / "outside", {"mine": b"mine"})
    pair.remote.mkdir(parents=True)
    (pair.remote / "d").symlink_to(tmp_path / "outside")
    (pair.remote / "e").symlink_to(tmp_path / "outside" / "mine")
    verdict = await push(connection, pair.request())
    assert {refusal.path for refusal in verdict.refused} == {"d/a", "e"} and not verdict.full
    assert tree(tmp_path / "outside") == {"mine": b"mine"} and (pair.remote / "f").read_bytes() == b"3"


@pytest.mark.parametrize(
    "remote", ["jobs", "runs/x", "agent", "slots/x", ".sync", "../x", "/elsewhere/x", "-x", "Runs"]
)
async def test_a_push_into_the_agents_own_folders_is_refused(
    pair: Pair, connection: HostConnection, remote: str
) -> None:
    write(pair.local, FILES)
    with pytest.raises(SyncFailed):
        await push(connection, pair.request(remote=remote))


async def test_a_workspace_folder_that_is_a_symlink_is_not_pushed_into(
    pair: Pair, connection: HostConnection, tmp_path: Path
) -> None:
    write(pair.local, FILES)
    (tmp_path / "outside").mkdir()
    pair.remote.parent.mkdir()
    pair.remote.symlink_to(tmp_path / "outside")
    with pytest.raises(SyncFailed, match="not a folder"):
        await push(connection, pair.request())
    assert not list((tmp_path / "outside").iterdir())


async def test_a_file_that_changes_during_the_sync_is_transferred_again(
    pair: Pair, connection: HostConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pair.local, {"a": b"1" * 1000, "b": b"2"})
    _when_sending(monkeypatch, lambda time: write(pair.local, {"a": b"now longer" * 200}) if time == 0 else None)
    verdict = await push(connection, pair.request())
    assert verdict.full and tree(pair.remote) == tree(pair.local)


@pytest.mark.parametrize("change", ["cut", "rewritten", "deleted"])
async def test_a_file_that_keeps_changing_is_reported_as_not_synced(
    pair: Pair, connection: HostConnection, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    write(pair.local, {"a": b"0" * 3000, "b": b"2"})

    def disturb(time: int) -> None:
        content = {"cut": b"0" * (1000 - time), "rewritten": bytes([65 + time]) * 3000, "deleted": b""}[change]
        write(pair.local, {"a": content})
        if change == "deleted":
            (pair.local / "a").unlink()
            write(pair.local, {f"other{time}": b""})

    _when_sending(monkeypatch, disturb)
    verdict = await push(connection, pair.request())
    assert not verdict.full and len(verdict.not_synced) == 1
    assert verdict.not_synced[0].path == {"deleted": "other1"}.get(change, "a")
    assert (pair.remote / "b").read_bytes() == b"2"
    assert not (pair.remote / "a").exists()


def _when_sending(monkeypatch: pytest.MonkeyPatch, disturb: Any) -> None:
    """Call ``disturb`` with 0, 1, ... between each plan and the sending of its files."""
    real, times = batch.send, iter(range(10))

    async def send(*arguments: Any) -> Any:
        disturb(next(times))
        return await real(*arguments)

    monkeypatch.setattr(folder_sync, "send", send)


async def test_two_concurrent_pushes_do_not_mix(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, {"a": b"1"})
    async with open_transfer(connection) as other:
        other.send_request({"op": "receive", "root": "project", "files": [["a", 1, "0" * 64, False]]})
        await _until((pair.remote / ".qllm-sync" / "lock").exists)
        with pytest.raises(RetryLater, match="another sync"):
            await push(connection, pair.request())
    assert (await push(connection, pair.request())).full


async def test_a_silent_sender_does_not_block_others(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, {"a": b"1"})
    async with open_transfer(connection) as silent:
        silent.send_request({"op": "receive", "root": "project", "files": [], "idle_timeout": 0.05})
        with pytest.raises(LinkDown):
            await silent.read_reply()
        assert (await push(connection, pair.request())).full


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("direction", ["push", "pull"])
async def test_after_a_broken_link_a_sync_resumes_from_the_last_byte(
    pair: Pair, sshd: Sshd, tmp_path: Path, direction: str
) -> None:
    content = os.urandom(3 * BIG_FILE)
    source, target = (pair.local, pair.remote) if direction == "push" else (pair.remote, pair.local)
    write(source, {"big": content, "a": b"1", "z": b"2"})
    sync = push if direction == "push" else pull
    async with proxy_to(sshd.port) as proxy:
        config = sshd.host(pair.host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", port=proxy.port)
        async with open_connection(config, tmp_path, access) as connection:
            async with open_agent(connection):
                pass

            def cut(progress: Progress) -> None:
                if progress.bytes_done > 2 * BIG_FILE:
                    proxy.drop()

            with pytest.raises(LinkDown):
                await sync(connection, pair.request(), report=cut)
        assert "big" not in tree(target)
        async with open_connection(config, tmp_path, access) as connection:
            verdict = await _retry_while_busy(connection, pair, sync)
    assert verdict.full and tree(target) == {"big": content, "a": b"1", "z": b"2"}
    assert verdict.transferred_bytes < 2 * BIG_FILE


async def _retry_while_busy(connection: HostConnection, pair: Pair, sync: Any) -> Verdict:
    """The host may need a moment to notice that the other link is gone."""
    async with asyncio.timeout(20):
        while True:
            try:
                verdict: Verdict = await sync(connection, pair.request())
                return verdict
            except RetryLater:
                await asyncio.sleep(0.05)


async def test_round_trips_do_not_grow_with_the_number_of_files(pair: Pair, sshd: Sshd, tmp_path: Path) -> None:
    round_trip = 0.2
    seconds = []
    async with proxy_to(sshd.port) as proxy:
        config: HostConfig = sshd.host(pair.host.workspace, proxy.port)
        async with open_connection(config, tmp_path, sshd.access(tmp_path / "operator", port=proxy.port)) as connection:
            async with open_agent(connection):
                pass
            proxy.round_trip = round_trip
            for number in (3, 1000):
                write(pair.local, {f"{number}/{name}": str(name).encode() for name in range(number)})
                started = asyncio.get_running_loop().time()
                assert (await push(connection, pair.request())).transferred_files == number
                seconds.append(asyncio.get_running_loop().time() - started)
    # a round trip a file would be a thousand; the rest is the work of a machine that may be busy
    assert seconds[1] - seconds[0] < 100 * round_trip, seconds


async def test_a_pull_transfers_what_changed_deletes_nothing_and_keeps_what_it_replaces(
    pair: Pair, connection: HostConnection
) -> None:
    write(pair.remote, FILES)
    write(pair.local, {"train.py": b"my own edit", "mine": b"mine"})
    verdict = await pull(connection, pair.request())
    again = await pull(connection, pair.request())
    absolute = await pull(connection, pair.request(remote=str(pair.remote)))
    assert (
        verdict.full and verdict.transferred_files == 4 and again.transferred_files == absolute.transferred_files == 0
    )
    assert tree(pair.local) == FILES | {"mine": b"mine"}
    (kept,) = (pair.local / ".qllm-sync" / "replaced").glob("*/train.py")
    assert kept.read_bytes() == b"my own edit"


async def test_a_pull_of_a_missing_folder_is_refused(pair: Pair, connection: HostConnection) -> None:
    with pytest.raises(SyncFailed, match="no folder"):
        await pull(connection, pair.request())


async def test_a_host_that_sends_hostile_names_writes_nothing_outside(
    pair: Pair, connection: HostConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pair.remote, {"a": b"1"})
    real = TransferChannel.index

    async def hostile(channel: Any, *arguments: Any, **settings: Any) -> Any:
        folder = await real(channel, *arguments, **settings)
        names = ["../stolen", str(tmp_path / "stolen"), "x/../../stolen", "a\0b", ".qllm-sync/staging/x"]
        folder.files.extend(folder.files[0]._replace(path=name) for name in names)
        return folder

    monkeypatch.setattr(TransferChannel, "index", hostile)
    verdict = await pull(connection, pair.request())
    assert tree(pair.local) == {"a": b"1"} and not list(tmp_path.rglob("stolen"))
    assert not verdict.full or verdict.files == 1


async def test_records_within_the_folder_are_not_pushed(pair: Pair, connection: HostConnection) -> None:
    write(pair.local, FILES)
    request = pair.request(records=pair.local / "my-runs" / ".sync")
    assert (await push(connection, request)).files == (await push(connection, request)).files == len(FILES)
    shutil.rmtree(pair.local / "my-runs")
