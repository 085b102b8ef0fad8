"""Runs on a host with GPUs: each slot has its own, and one that others use is left to them.

nvidia-smi is a fake, the runs are real.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hosts.agent import gpu_slots, process
from console.hosts.agent.claims import Claim, claim
from console.hosts.agent.gpu_slots import GpuBusy, GpuRefused, GpuSlots
from console.hosts.agent.supervisor import Supervisor
from console.hosts.agent.workspace import Workspace, read_json
from console.hosts.remote.agent_client import AgentClient
from tests.console.hosts.agent.fake_nvidia_smi import FakeSmi, uuid
from tests.console.hosts.conftest import Host, in_state, launch, states_when

A, B = uuid("a"), uuid("b")
WAIT = {"device": "auto", "occupied": "wait"}
RUN = """
import os, pathlib, time
print(os.environ.get("CUDA_VISIBLE_DEVICES", "every GPU"), flush=True)
while not pathlib.Path("end").exists(): time.sleep(0.02)
"""
LEAVES_A_CHILD = f"""
import os
if not os.fork(): os.setsid()
{RUN}
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    """Two GPUs that nobody uses."""
    fake = FakeSmi(tmp_path / "bin", A, B)
    monkeypatch.setenv("PATH", str(fake.folder), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


async def launch_on_gpu(link: AgentClient, runs: str, slots: int, code: str = RUN, **wanted: str) -> dict[str, str]:
    """Launch a run for each letter; returns their keys."""
    return {f"{run}_seed1": await launch(link, f"{run}_seed1", code, slots=slots, gpu=WAIT | wanted) for run in runs}


def all_in(*names: str) -> Callable[[dict[str, dict[str, Any]]], bool]:
    return lambda states: bool(states) and all(state["state"] in names for state in states.values())


def has_job(run: str) -> Callable[[dict[str, dict[str, Any]]], bool]:
    return lambda states: bool(states.get(run, {}).get("job"))


def end_all(host: Host) -> None:
    (host.workspace / "end").touch()


async def first_line(host: Host, run: str) -> str:
    """What the run has of CUDA_VISIBLE_DEVICES."""
    log = host.run_folder / run / "log.txt"
    while "\n" not in (text := log.read_text() if log.exists() else ""):
        await asyncio.sleep(0.02)
    return text.splitlines()[0]


async def test_two_slots_give_two_runs_a_gpu_each(host: Host, smi: FakeSmi) -> None:
    async with host.open_connection() as (_, link):
        await launch_on_gpu(link, "AB", slots=2)
        states = await states_when(link, all_in("running"))
        visible = {run: await first_line(host, run) for run in states}
        assert sorted(visible.values()) == [A, B]
        assert {run: state["gpu"]["uuid"] for run, state in states.items()} == visible
        assert {state["gpu"]["name"] for state in states.values()} == {"NVIDIA X"}
        end_all(host)
        ended = await states_when(link, all_in("finished"))
        assert {run: state["gpu"]["uuid"] for run, state in ended.items()} == visible, "kept with the run"


async def test_more_slots_than_gpus_share_them_evenly(host: Host, smi: FakeSmi) -> None:
    async with host.open_connection() as (_, link):
        await launch_on_gpu(link, "ABCD", slots=3)
        states = await states_when(link, lambda states: sum(one["state"] == "running" for one in states.values()) == 3)
        running = [run for run, state in states.items() if state["state"] == "running"]
        visible = sorted([await first_line(host, run) for run in running])
        assert sorted(map(visible.count, (A, B))) == [1, 2]
        end_all(host)
        await states_when(link, all_in("finished"))


@pytest.mark.fault("other processes use a GPU", "the run waits for it and names them")
async def test_an_occupied_gpu_is_waited_for_and_the_run_says_for_whom(host: Host, smi: FakeSmi) -> None:
    smi.list(A)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:  # noqa: ASYNC220
        smi.set_processes(("a", other.pid, "/opt/bin/train, v2", 12083))
        async with host.open_connection() as (_, link):
            keys = await launch_on_gpu(link, "AB", slots=1)
            states = await states_when(link, lambda states: "GPU" in states.get("A_seed1", {}).get("reason", ""))
            expected = rf"waits for a GPU: GPU 0 \(NVIDIA X\) is used by \w+ train, v2 \({other.pid}\) 11.8 GiB"
            assert re.fullmatch(expected, states["A_seed1"]["reason"]) and states["A_seed1"]["state"] == "queued"
            aborted = await link.request("abort", key=keys["A_seed1"], by="the test")
            assert aborted["state"] == "aborted", "an abort does not wait for the GPU"
            await states_when(link, lambda states: "train" in states["B_seed1"].get("reason", ""))
            smi.set_processes()
            states = await states_when(link, in_state("B_seed1", "running"))
            assert not states["B_seed1"].get("reason") and await first_line(host, "B_seed1") == A
            end_all(host)
            await states_when(link, in_state("B_seed1", "finished"))
        other.communicate(b"\n")


async def test_runs_of_ours_do_not_occupy_a_gpu_that_slots_share(host: Host, smi: FakeSmi) -> None:
    smi.list(A)
    async with host.open_connection() as (_, link):
        await launch_on_gpu(link, "A", slots=2)
        states = await states_when(link, has_job("A_seed1"))
        smi.set_processes(("a", states["A_seed1"]["job"]["pid"], "python3", 900))
        smi.set_memory(a=1900)
        await launch_on_gpu(link, "B", slots=2)
        await states_when(link, all_in("running"))
        assert await first_line(host, "B_seed1") == A
        end_all(host)
        await states_when(link, all_in("finished"))


@pytest.mark.fault(
    "the supervisor of a run on a GPU is killed", "its GPU is taken until the last process of the run is gone"
)
async def test_a_gpu_is_taken_until_the_last_process_of_its_run_is_gone(host: Host, smi: FakeSmi) -> None:
    async with host.open_connection() as (_, link):
        await launch_on_gpu(link, "A", slots=1, code=LEAVES_A_CHILD)
        states = await states_when(link, has_job("A_seed1"))
        card, job = await first_line(host, "A_seed1"), states["A_seed1"]["job"]["pid"]
        while (host.run_folder / "A_seed1" / "log.txt").read_text().count(card) < 2:  # its child's as well
            await asyncio.sleep(0.02)
        for pid in (states["A_seed1"]["supervisor"]["pid"], job):
            os.kill(pid, signal.SIGKILL)
        await states_when(link, in_state("A_seed1", "lost"))
        while process.read_stat(job) is not None and process.read_stat(job).living:  # type: ignore[union-attr]
            await asyncio.sleep(0.02)
        locks = GpuSlots(Workspace(host.workspace), WAIT, 1, {})._locked
        assert len(locks(card)) == 1, "the child it left has it"
        end_all(host)
        while locks(card):
            await asyncio.sleep(0.02)


def test_a_run_that_is_not_to_wait_fails_and_names_who_is_on_the_gpu(
    tmp_path: Path, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.list(A)
    smi.set_memory(a=5000)
    monkeypatch.setattr(gpu_slots, "SETTLE_S", 0.0)
    request = {"key": "a" * 32, "folder": "experiment", "run": "A_seed1", "argv": ["/bin/true"]}
    claimed = claim(Workspace(tmp_path / "host"), {**request, "gpu": WAIT | {"occupied": "refuse"}})
    assert isinstance(claimed, Claim)
    Supervisor(claimed.launch.workspace, claimed.key, claimed.lock).supervise()
    state = read_json(claimed.run_folder / "state.json") or {}
    hidden = "4.9 GiB in use by processes that the host does not show"
    assert state["reason"] == f"the job did not start: no GPU is free: GPU 0 (NVIDIA X) has {hidden}"
    assert state["state"] == "failed"


class Chooser:
    """Choices of GPUs in this process, as supervisors make them one after the other."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder / "host")
        self.workspace.prepare()
        self.held: list[int] = []

    def choose(self, slot: int = 0, slots: int = 2, environ: dict[str, str] | None = None, **wanted: str) -> str | None:
        """The GPU for ``slot``, which is held from then on; None if the run is not bound."""
        chooser = GpuSlots(self.workspace, WAIT | wanted, slots, environ or {})
        chooser.ask()
        self.held += chooser.take(slot)
        return chooser.environment.get("CUDA_VISIBLE_DEVICES")

    def release(self) -> None:
        while self.held:
            os.close(self.held.pop())


@pytest.fixture
def chooser(tmp_path: Path) -> Iterator[Chooser]:
    chooser = Chooser(tmp_path)
    yield chooser
    chooser.release()


def test_a_slot_keeps_its_gpu_when_nvidia_smi_lists_them_in_another_order(smi: FakeSmi, chooser: Chooser) -> None:
    first = [chooser.choose(slot) for slot in (0, 1)]
    chooser.release()
    smi.list(B, A)
    assert [chooser.choose(slot) for slot in (0, 1)] == first == [A, B]


LOST = "Unable to determine the device handle for GPU0000:02:00.0: Unknown Error"


@pytest.mark.fault("a GPU vanishes or stops answering", "it is named; the others keep their slots")
def test_a_gpu_that_vanished_is_named_and_the_others_are_not_shared_for_it(smi: FakeSmi, chooser: Chooser) -> None:
    chooser.choose()
    chooser.release()
    smi.list(B, note=LOST)
    smi.lose(LOST)
    assert chooser.choose(0) == B
    with pytest.raises(GpuBusy) as raised:
        chooser.choose(1)
    gone = f"GPU 0 (NVIDIA X) is not there any more, by nvidia-smi: {LOST}"
    assert str(raised.value) == f"waits for a GPU: {gone}; GPU 1 (NVIDIA X) has a run"


@pytest.mark.fault("a GPU vanishes or stops answering", "it is named; the others keep their slots")
def test_a_gpu_that_stops_answering_costs_the_others_nothing(smi: FakeSmi, chooser: Chooser) -> None:
    smi.lose(LOST)
    smi.set_processes(("a", os.getpid(), "pytest", 100))
    assert [chooser.choose(0)] == [B]


def test_after_a_restart_other_gpus_are_not_missing(
    smi: FakeSmi, chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser.choose()
    chooser.release()
    smi.list(uuid("c"))
    monkeypatch.setattr(gpu_slots, "boot_id", lambda: "another boot")
    assert [chooser.choose(slot) for slot in (0, 1)] == [uuid("c")] * 2


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1", "{b}"), ("GPU-b", "{b}"), ("0", "{a}"), ("{b},{a}", "{a}"), ("", ""), ("-1", "-1")],
)
def test_the_hosts_own_choice_of_gpus_is_what_there_is_to_choose_from(
    smi: FakeSmi, chooser: Chooser, visible: str, expected: str
) -> None:
    found = chooser.choose(environ={"CUDA_VISIBLE_DEVICES": visible.format(a=A, b=B)})
    assert found == expected.format(a=A, b=B)


def test_a_choice_that_names_no_gpu_is_said(smi: FakeSmi, chooser: Chooser) -> None:
    with pytest.raises(GpuBusy, match="CUDA_VISIBLE_DEVICES=7 on the host names none of GPU 0"):
        chooser.choose(environ={"CUDA_VISIBLE_DEVICES": "7"})


def test_mig_devices_are_used_as_they_are(smi: FakeSmi, chooser: Chooser) -> None:
    devices = "".join(f"\n  MIG 1g.5gb     Device  {number}: (UUID: MIG-{number * 8})" for number in "01")
    smi.list_text(f"GPU 0: NVIDIA A100 (UUID: {A}){devices}\nGPU 1: NVIDIA A100 (UUID: {B})")
    found = [chooser.choose(slot, slots=3) for slot in range(3)]
    assert sorted(map(str, found)) == sorted([B, "MIG-00000000", "MIG-11111111"])


def test_a_gpu_with_hidden_use_is_occupied_and_a_desktops_is_not(smi: FakeSmi, chooser: Chooser) -> None:
    smi.set_memory(a=4000, b=300)
    assert chooser.choose(0) == B


def test_what_a_lost_run_has_left_on_a_gpu_occupies_it(smi: FakeSmi, chooser: Chooser) -> None:
    key = "a" * 32
    (chooser.workspace.jobs / key).mkdir()
    environ = {**os.environ, process.KEY_VARIABLE: key}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as left:
        smi.set_processes(("a", left.pid, "python3", 900))
        assert chooser.choose(0) == B
        chooser.release()
        holder = chooser.choose(0, occupied="share")
        assert (holder, chooser.choose(0, slots=4)) == (A, B), "the less used"
        assert chooser.choose(0, slots=4) == A, "with a run on it, its processes are ours"
        left.communicate(b"\n")


def test_nothing_is_refused_while_a_driver_may_still_release_a_gpu(
    smi: FakeSmi, chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi.set_memory(a=4000, b=4000)
    with pytest.raises(GpuBusy):
        chooser.choose(occupied="refuse")
    monkeypatch.setattr(gpu_slots, "SETTLE_S", 0.0)
    with pytest.raises(GpuRefused, match=r"no GPU is free: GPU 0 .* GPU 1"):
        chooser.choose(occupied="refuse")


def test_a_host_that_shares_its_gpus_does_not_ask_who_uses_them(smi: FakeSmi, chooser: Chooser) -> None:
    smi.set_memory(a=4000, b=4000)
    assert chooser.choose(occupied="share") == A
    assert smi.queries == "-L\n"


def test_without_nvidia_smi_nothing_changes(chooser: Chooser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert chooser.choose() is None
    assert chooser.choose(environ={"CUDA_VISIBLE_DEVICES": "3"}) == "3"


@pytest.mark.fault("nvidia-smi fails", "waited for only where a GPU is needed")
def test_an_nvidia_smi_that_fails_is_waited_for_only_where_a_gpu_is_needed(smi: FakeSmi, chooser: Chooser) -> None:
    smi.fail("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
    assert chooser.choose() is None, "no GPU was ever seen here: the CPU does"
    with pytest.raises(GpuBusy, match="waits for a GPU: NVIDIA-SMI has failed"):
        chooser.choose(device="cuda")
    smi.program.with_name("broken").unlink()
    chooser.choose()
    smi.fail("Driver/library version mismatch")
    with pytest.raises(GpuBusy, match="mismatch"):
        chooser.choose()
