"""Runs are synced while they run and pulled when they are sealed, whatever happens to link, console, disk and run."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path, PurePosixPath

import pytest

from console.hosts.agent.workspace import seal
from console.hosts.pull.follower import RunFollower
from console.hosts.pull.local_copy import RunsFolder
from console.hosts.pull.run_sync import RunSync
from console.hosts.pull.verify import local_manifest
from console.hosts.remote.agent_client import AgentClient
from console.hosts.ssh.access import Timeouts
from console.runs.snapshot import SyncState
from engine.contract.settings import RunId
from engine.contract.state import RunState
from tests.console.fed_log import texts
from tests.console.hosts.agent import odd_files
from tests.console.hosts.conftest import Host, in_state, launch, states_when
from tests.console.hosts.folder_pair import tree
from tests.console.hosts.kept_link import RUN
from tests.console.hosts.proxy import proxy_to
from tests.console.hosts.pull.conftest import FIRST, GROWING, JOB, LINE, SteeredRun, console
from tests.console.hosts.small_disk import fill
from tests.console.hosts.sshd import Sshd

pytestmark = pytest.mark.usefixtures("short_waits")
QUICK = Timeouts(handshake=3.0, keepalive=0.4, misses=5, backoff=(0.05, 0.5))


async def test_a_run_is_synced_while_it_runs_and_pulled_when_it_ends(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
        steered.steer("3")
        await one.synced_to(FIRST + 3 * LINE)
        assert steered.live(key) == {name: (steered.remote / name).read_bytes() for name in GROWING}
        assert json.loads((steered.folder / ".live" / str(RUN) / key / "state.json").read_bytes())["state"] == "running"
        seen: list[SyncState] = []
        one.watch(seen.append)
        await steered.end(link)
        await one.synced()
        first = next(state for state in seen if state.status == "pulling" and state.bytes_total)
        assert first.bytes_done >= FIRST + 3 * LINE, "what was local already was not fetched again"
        await steered.until_cleaned_up()
    steered.assert_synced()


async def test_every_byte_of_events_and_log_crosses_the_link_once(host: Host, sshd: Sshd, tmp_path: Path) -> None:
    """Counted on the wire, with a second connection in between, and with base64 and JSON of the polls taken off."""
    steered, lines = SteeredRun(host, tmp_path / "local"), 30_000
    async with proxy_to(sshd.port) as proxy, host.open_connection() as (_, link):
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        async with console(config, tmp_path / "empty", access):
            idle = proxy.passed  # a connection, the agent, the first polls
        await launch(link, str(RUN), JOB.replace(f"bytes({FIRST})", f"b'x' * {FIRST}"))
        async with console(config, steered.runs_dir, access) as one:
            for many in (lines // 2, lines):
                steered.steer(str(many))
                await one.synced_to(FIRST + many * LINE)
                proxy.drop()
                await one.until(lambda _: one.link.view.link == "lost")
            steered.steer("end")
            await one.synced()
            await steered.until_cleaned_up()
            log = one.link.follower.logs[RUN]
            shown = texts(log)
            assert (len(shown), shown[-1]) == (lines, f"line {lines:08d}"), "the view continues from the capsule"
    steered.assert_synced()
    growing = sum((steered.local / name).stat().st_size for name in GROWING)
    base64, connections = 4 / 3, 3
    # ssh and JSON take a little of every packet; a second passage of either file would be far more than that
    assert proxy.passed - (1 + connections) * idle < 1.05 * base64 * growing


async def test_polls_and_requests_share_a_channel_and_a_pull_has_one_more(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
        channels = one.link.connected()[0].channels
        assert channels._open == 1
        most: list[int] = []
        one.watch(lambda _: most.append(channels._open))
        await steered.end(link)
        await one.synced()
        assert max(most) == 2
        async with asyncio.timeout(10):
            while channels._open != 1:
                await asyncio.sleep(0.01)


async def test_a_restarted_console_resumes_and_one_that_writes_nothing_shows_what_is_local(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
    async with console(steered.config, steered.runs_dir, syncs_runs=False) as reader:
        assert reader.sync_state == SyncState("syncing", bytes_done=FIRST)
        assert not reader.link.local.other_writer, "it does not want to write"
    steered.steer("5")
    async with console(steered.config, steered.runs_dir) as other:
        await other.synced_to(FIRST + 5 * LINE)
        await steered.end(link)
        await other.synced()
        await steered.until_cleaned_up()
    steered.assert_synced()
    manifest = local_manifest(steered.folder, RUN)
    assert manifest is not None and manifest.key == key


async def test_a_run_that_ended_while_no_console_was_open_takes_over_its_live_copy(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
    await steered.end(link)
    async with console(steered.config, steered.runs_dir) as other:
        await other.synced()
        await steered.until_cleaned_up()
    steered.assert_synced()


async def test_a_new_launch_has_its_own_live_copy_and_the_one_of_the_older_is_set_aside(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
    await steered.end(link)
    steered.steer("2")
    newer = await launch(link, str(RUN), JOB.replace("line", "newer"))
    async with console(steered.config, steered.runs_dir) as other:
        await other.synced_to(FIRST + 2 * (LINE + 1))
        await steered.end(link)
        await other.synced()
        await steered.until_cleaned_up()
    steered.assert_synced()
    manifest = local_manifest(steered.folder, RUN)
    assert manifest is not None and manifest.key == newer
    aside = tree(steered.folder / ".previous" / f"{RUN}-{key}")
    assert aside["events.jsonl"] == bytes(FIRST)


async def test_a_capsule_of_an_older_launch_is_not_taken_for_the_present_one(
    steered: SteeredRun, link: AgentClient, key: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await steered.end(link)
        await one.synced()
        steered.steer("")
        newer = await launch(link, str(RUN), JOB)
        assert newer != key
        await one.synced_to(FIRST)
        await steered.end(link)
        await one.synced()
        await steered.until_cleaned_up()
    steered.assert_synced()
    assert (steered.folder / ".previous" / f"{RUN}-{key}" / "manifest.json").exists()


async def test_dropped_links_lose_and_double_nothing(host: Host, sshd: Sshd, tmp_path: Path) -> None:
    steered = SteeredRun(host, tmp_path / "local")
    async with proxy_to(sshd.port) as proxy, host.open_connection() as (_, link):
        config = sshd.host(host.workspace, proxy.port)
        access = sshd.access(tmp_path / "operator", timeouts=QUICK, port=proxy.port)
        await launch(link, str(RUN), JOB)
        async with console(config, steered.runs_dir, access) as one:
            for lines in (10, 20, 30):
                await one.until(lambda state: state.status == "syncing" and state.bytes_done >= FIRST)
                proxy.drop()
                steered.steer(str(lines))
                await one.synced_to(FIRST + lines * LINE)
            steered.steer("end")
            await one.synced()
            await steered.until_cleaned_up()
        assert proxy.connections > 3
        await states_when(link, in_state(str(RUN), "finished"))
    steered.assert_synced()


async def test_a_capsule_is_not_shown_as_synced_once_a_newer_launch_was_followed(tmp_path: Path) -> None:
    """Before the host answers, the newest local launch is shown, by the follower and by the sync states alike."""
    folder, newer = RunsFolder(tmp_path), "1" * 32
    (tmp_path / str(RUN)).mkdir()
    seal(tmp_path / str(RUN), "0" * 32)
    sync = RunSync(folder, PurePosixPath("runs"), (RUN,), RunFollower(folder, (RUN,)), lambda: None)
    await sync.load()
    assert sync.sync_states[RUN].status == "synced"
    folder.live(RUN, newer).mkdir(parents=True)
    (folder.live(RUN, newer) / "log.txt").write_bytes(b"newer")
    sync = RunSync(folder, PurePosixPath("runs"), (RUN,), RunFollower(folder, (RUN,)), lambda: None)
    await sync.load()
    assert sync.sync_states[RUN] == SyncState("syncing", bytes_done=5)


@pytest.mark.parametrize("found_before", [False, True])
async def test_damage_found_in_the_capsule_of_an_older_launch_does_not_keep_the_new_one_from_being_pulled(
    tmp_path: Path, found_before: bool
) -> None:
    """The run was launched again while its capsule was verified, or after that."""
    folder, runs = RunsFolder(tmp_path), RunFollower(RunsFolder(tmp_path), (RUN,))
    (tmp_path / str(RUN)).mkdir()
    seal(tmp_path / str(RUN), "0" * 32)
    sync = RunSync(folder, PurePosixPath("runs"), (RUN,), runs, lambda: None)
    await sync.load()
    if found_before:
        runs.host_states = {RUN: RunState("finished", "0" * 32)}
        await sync.update()
        sync.mark_damaged(RUN, "0" * 32, "log.txt: its SHA-256 differs")
        assert sync.damaged_runs == {RUN} and sync.sync_states[RUN].status == "damaged"
    runs.host_states = {RUN: RunState("running", "1" * 32)}
    await sync.update()
    if not found_before:
        sync.mark_damaged(RUN, "0" * 32, "log.txt: its SHA-256 differs")
    assert not sync.damaged_runs and not sync._refused and sync.sync_states[RUN].status != "damaged"


async def test_a_new_connection_pulls_nothing_that_only_an_older_one_reported(tmp_path: Path) -> None:
    folder = RunsFolder(tmp_path)
    sync = RunSync(folder, PurePosixPath("runs"), (RUN,), RunFollower(folder, (RUN,)), lambda: None)
    pulled: list[RunId] = []

    async def pull_one(_connection: object, run: RunId, _key: str) -> None:
        pulled.append(run)

    sync._pull_one = pull_one  # type: ignore[method-assign, assignment]
    for due in ({RUN: "0" * 32}, {}):
        pulling = asyncio.create_task(sync.pull_sealed(None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        sync._due |= due
        sync._wake.set()
        for _ in range(5):
            await asyncio.sleep(0)
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)
    assert pulled == [RUN]


async def test_a_full_local_disk_is_reported_and_states_are_followed_on(
    host: Host, link: AgentClient, small_disk: Path, key: str
) -> None:
    steered = SteeredRun(host, small_disk / "local")
    steered.runs_dir.mkdir()
    filler = fill(small_disk, FIRST // 2)
    async with console(steered.config, steered.runs_dir) as one:
        await one.until(lambda state: f"the disk of this machine at {small_disk} is full" in state.note)
        assert one.sync_state.status == "syncing" and one.link.view.link == "up"
        view = one.link.follower.views[RUN]
        assert view.state is not None and view.state.state == "running"
        steered.steer("4")
        filler.unlink()
        await one.synced_to(FIRST + 4 * LINE)
        assert not one.sync_state.note
        filler = fill(small_disk, 0)
        await steered.end(link)
        await one.until(lambda state: "is full" in state.note)
        assert one.link.view.link == "up"
        filler.unlink()
        await one.synced()
        await steered.until_cleaned_up()
    steered.assert_synced()


async def test_what_a_lost_run_left_is_copied_and_not_pulled(host: Host, tmp_path: Path) -> None:
    """Nothing seals it, so nothing proves what it left."""
    steered, key = SteeredRun(host, tmp_path / "local"), "f" * 32
    steered.remote.mkdir(parents=True)
    (steered.remote / "state.json").write_text(f'{{"key": "{key}", "state": "running"}}')
    (steered.remote / "log.txt").write_text("the last line")
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(len("the last line"))
        view = one.link.follower.views[RUN]
        assert view.state is not None and view.state.state == "lost"
        assert texts(one.link.follower.logs[RUN]) == ["the last line"]
    assert steered.live(key)["log.txt"] == b"the last line"


async def test_a_damaged_capsule_is_pulled_again_on_request(steered: SteeredRun, link: AgentClient, key: str) -> None:
    async with console(steered.config, steered.runs_dir, syncs_runs=False):
        await steered.end(link)
    right = (steered.remote / "events.jsonl").read_bytes()
    (steered.remote / "events.jsonl").write_bytes(os.urandom(FIRST))
    async with console(steered.config, steered.runs_dir) as one:
        await one.until(lambda state: state.status == "damaged")
        assert "events.jsonl is not what its manifest says" in one.sync_state.note and one.link.view.link == "up"
        (steered.remote / "events.jsonl").write_bytes(right)
        assert one.link.run_sync.pull_again() == (RUN,)
        await one.synced()
        assert one.link.run_sync.pull_again() == ()
        await steered.until_cleaned_up()
    steered.assert_synced()


@pytest.mark.fault(
    "events of a running run become a folder, a FIFO, a symlink on the host",
    "what was synced of them stays; the run goes on, is sealed and pulled without them, and says so",
)
@pytest.mark.timeout(60)
@pytest.mark.parametrize("odd", ["a folder", "a FIFO", "a symlink"])
async def test_a_run_with_an_odd_file_is_pulled_without_it(
    steered: SteeredRun, link: AgentClient, key: str, odd: str
) -> None:
    async with console(steered.config, steered.runs_dir) as one:
        await one.synced_to(FIRST)
        odd_files.replace_at_once(steered.remote / "events.jsonl", odd_files.NOT_FILES[odd])
        steered.steer("3")
        await one.synced_to(FIRST + 3 * LINE)
        state = one.link.follower.views[RUN].state
        assert state is not None and "events.jsonl cannot be read: it is a" in state.reason
        await steered.end(link)
        await one.synced()
        await steered.until_cleaned_up()
        assert one.sync_state.note == f"left out: events.jsonl: it is {odd}, not a file"
    assert sorted(path.name for path in steered.local.iterdir()) == [
        "exit.json",
        "log.txt",
        "manifest.json",
        "state.json",
    ]
    kept = steered.folder / ".previous" / f"{RUN}-{key}" / "events.jsonl"
    assert kept.read_bytes() == bytes(FIRST), "the only copy that is left"
