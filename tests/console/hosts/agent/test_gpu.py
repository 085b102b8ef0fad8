"""After an abort nvidia-smi, where there is one, says whether the run is off the GPU; whatever it answers is only said."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from shlex import quote

import pytest

from console.hosts.agent import gpu
from tests.console.hosts.conftest import Host, in_state, launch, states_when

SMI = """#!/bin/sh
case "$1" in --query-compute-apps=*) ;; *) echo 'NVIDIA X, 49140, 3, 0, 550.1'; exit;; esac
{answer}
"""
RUN = """
import os, pathlib, time
pathlib.Path("apps").write_text(f"{os.getpid()}, python3, 512\\n")
print("ready", flush=True)
while True: time.sleep(60)
"""
LOST = "Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost.  Reboot the system to recover this GPU"
UNKNOWN = "; whether the GPU is free is not known: "


async def reason_of_an_abort(host: Host, *, orphan: bool = False) -> tuple[str, int]:
    """Launch a run that is on the GPU, abort it; the reason recorded, and its pid."""
    async with host.open_connection() as (_, link):
        key = await launch(link, "A_seed1", RUN)
        ready = host.run_folder / "A_seed1" / "log.txt"
        states = await states_when(link, lambda _: ready.exists() and ready.read_text() != "")
        if orphan:
            os.kill(states["A_seed1"]["supervisor"]["pid"], signal.SIGKILL)
            await states_when(link, in_state("A_seed1", "lost"))
        state = await link.request("abort", key=key, by="the test")
    assert state["state"] == "aborted"
    return str(state["reason"]), int(states["A_seed1"]["job"]["pid"])


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the host's agent looks for nvidia-smi."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder / "nvidia-smi"


def answers(smi: Path, answer: str) -> None:
    smi.write_text(SMI.replace("{answer}", answer))
    smi.chmod(0o755)


@pytest.mark.parametrize("orphan", [False, True], ids=["by its supervisor", "after its supervisor"])
@pytest.mark.parametrize(
    ("apps", "expected"),
    [
        pytest.param("", "GPU free, by nvidia-smi", id="nobody is on it"),
        pytest.param("1, some, other, 9 MiB", "GPU free of it, by nvidia-smi; others use it", id="others are"),
    ],
)
async def test_the_gpu_is_confirmed_free(host: Host, smi: Path, apps: str, expected: str, orphan: bool) -> None:
    answers(smi, f"echo '{apps}'")
    reason, _ = await reason_of_an_abort(host, orphan=orphan)
    gone = "; its supervisor was gone; 1 process ended" if orphan else ""
    assert reason == f"aborted by the test{gone}; {expected}"


@pytest.mark.parametrize("orphan", [False, True], ids=["by its supervisor", "after its supervisor"])
async def test_a_process_still_on_the_gpu_is_named(host: Host, smi: Path, orphan: bool) -> None:
    answers(smi, f"cat {quote(str(host.workspace))}/apps")
    reason, pid = await reason_of_an_abort(host, orphan=orphan)
    assert reason.endswith(f"; STILL ON THE GPU, by nvidia-smi: process {pid}")


async def test_a_driver_that_releases_the_gpu_late_is_waited_for(host: Host, smi: Path) -> None:
    answers(smi, f"cd {quote(str(host.workspace))}; cat apps; test -e asked && rm -f apps; touch asked; touch apps")
    reason, _ = await reason_of_an_abort(host)
    assert reason == "aborted by the test; GPU free, by nvidia-smi"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("echo '[N/A], [N/A], [N/A]'", "nvidia-smi answers [N/A], [N/A], [N/A]", id="N/A"),
        pytest.param(f"echo '{LOST}'; exit 15", LOST, id="lost"),
        pytest.param("echo NVML: Driver/library version mismatch >&2; exit 18", "NVML: Driver/library", id="mismatch"),
        pytest.param("exit 3", "nvidia-smi ended with 3", id="says nothing"),
        pytest.param("exec sleep 600", "nvidia-smi does not answer within 3 s", id="hangs"),
    ],
)
async def test_an_unknown_gpu_state_is_reported_and_delays_nothing(
    host: Host, smi: Path, answer: str, expected: str
) -> None:
    """An abort that waited for the ten minutes of the one that hangs would not have ended in its own time limit."""
    answers(smi, answer)
    reason, _ = await reason_of_an_abort(host)
    assert reason.startswith(f"aborted by the test{UNKNOWN}{expected}")


def test_behind_a_lost_gpu_one_nvidia_smi_hangs_and_no_more_are_started(
    smi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits in the kernel does not end by SIGKILL before the driver answers; here none is sent."""
    asked = tmp_path / "asked"
    smi.write_text(f"#!/bin/sh\necho $$ >> {quote(str(asked))}\nexec sleep 600\n")
    smi.chmod(0o755)
    kill = subprocess.Popen.kill
    monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)
    with pytest.raises(gpu.NoAnswerInTime, match="does not answer within"):
        gpu.cards(0.5)
    (hanging,) = gpu.HANGING
    for _ in range(3):
        with pytest.raises(gpu.NoAnswerInTime, match="an earlier one hangs and cannot be killed"):
            gpu.gpu_processes(0.5)
    kill(hanging)
    hanging.wait()
    answers(smi, "echo '7, python3, 9'")
    assert [one["pid"] for one in gpu.gpu_processes(10.0)] == [7]
    assert not gpu.HANGING and (not asked.exists() or asked.read_text().count("\n") == 1)
