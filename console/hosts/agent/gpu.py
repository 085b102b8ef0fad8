"""The host's GPUs as nvidia-smi reports them. A GPU that is lost, or an nvidia-smi that hangs, is a remark, never an error."""

from __future__ import annotations

import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from console.hosts.agent.process import PROC, read_stat

FIELDS = (
    "name",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "driver_version",
    "temperature.gpu",
    "power.draw",
)
PROCESS_FIELDS = ("pid", "process_name", "used_memory")
QUERY_TIMEOUT_S = 10.0
RELEASE_TIMEOUT_S = 3.0  # how long an abort waits for the driver to release the GPU
RETRY_S = 0.2


class GpuUnknown(Exception):
    """nvidia-smi gave no answer; the text is why, in its own words if it has any."""


class NoNvidiaSmi(GpuUnknown):
    """nvidia-smi is not installed."""


def gpus() -> tuple[list[dict[str, Any]], str]:
    """Each GPU: ``name``, ``driver``, ``memory_total`` and ``memory_used`` in MiB, ``utilization`` in percent,
    ``temperature`` in degrees Celsius, ``power`` in W, None for N/A; and why there are none.
    """
    try:
        lines = _query("--query-gpu", FIELDS, QUERY_TIMEOUT_S)
    except GpuUnknown as unknown:
        return [], str(unknown)
    found = []
    for line in lines:
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(FIELDS):
            found.append(
                {
                    "name": parts[0],
                    "memory_total": _number(parts[1]),
                    "memory_used": _number(parts[2]),
                    "utilization": _number(parts[3]),
                    "driver": parts[4],
                    "temperature": _number(parts[5]),
                    "power": _decimal(parts[6]),
                }
            )
    return found, ""


def gpu_processes(timeout: float = QUERY_TIMEOUT_S) -> list[dict[str, Any]]:
    """Processes on the GPUs: ``pid``, ``name``, ``memory`` in MiB or None.

    Raises:
        GpuUnknown: nvidia-smi gives no answer.
    """
    found = []
    for line in _query("--query-compute-apps", PROCESS_FIELDS, timeout):
        pid, _, rest = line.partition(",")
        name, _, memory = rest.rpartition(",")
        if _number(pid) is None:
            raise GpuUnknown(f"nvidia-smi answers {line.strip()[:200]}")
        found.append({"pid": _number(pid), "name": name.strip()[:200], "memory": _number(memory)})
    return found


def gpu_holders() -> list[dict[str, Any]] | None:
    """As ``gpu_processes``, each with ``user`` and ``session``, the id that all processes of a job share.

    None if nvidia-smi gives no answer. ``user`` is "" and ``session`` 0 of a process that this system does not see, as in
    a container.
    """
    try:
        return [{**one, **_owner(one["pid"])} for one in gpu_processes()]
    except GpuUnknown:
        return None


def _owner(pid: int) -> dict[str, Any]:
    stat = read_stat(pid)
    if stat is None:
        return {"user": "", "session": 0}
    user = ""
    with suppress(OSError):  # it ended meanwhile
        uid = (PROC / str(pid)).stat().st_uid
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:  # a user of another container
            user = str(uid)
    return {"user": user, "session": stat.session}


def release_text(pids: frozenset[int]) -> str:
    """Remark on whether the ended processes ``pids`` are off the GPUs; "" without pids or without nvidia-smi."""
    deadline = time.monotonic() + RELEASE_TIMEOUT_S
    while pids:
        try:
            users = {user["pid"] for user in gpu_processes(max(deadline - time.monotonic(), RETRY_S))}
        except NoNvidiaSmi:
            return ""
        except GpuUnknown as unknown:
            return f"; whether the GPU is free is not known: {unknown}"
        remaining = sorted(users & pids)
        if not remaining:
            return "; GPU free of it, by nvidia-smi; others use it" if users else "; GPU free, by nvidia-smi"
        if time.monotonic() + RETRY_S > deadline:
            return f"; STILL ON THE GPU, by nvidia-smi: process {', '.join(map(str, remaining))}"
        time.sleep(RETRY_S)
    return ""


def _query(what: str, fields: Sequence[str], timeout: float) -> list[str]:
    """The lines that nvidia-smi prints, one for each GPU or process."""
    program = shutil.which("nvidia-smi")
    if program is None:
        raise NoNvidiaSmi("no nvidia-smi: no NVIDIA GPU, or no driver")
    output = _output([program, f"{what}={','.join(fields)}", "--format=csv,noheader,nounits"], timeout)
    return [line for line in output.splitlines() if line.strip()]


def _output(command: list[str], timeout: float) -> str:
    # A file, and no wait after the kill, unlike subprocess.run: behind a lost GPU nvidia-smi may stay in the kernel for ever.
    with tempfile.TemporaryFile() as file:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        except OSError as error:
            raise GpuUnknown(f"nvidia-smi cannot be run: {error.strerror}") from error
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(RETRY_S)
            raise GpuUnknown(f"nvidia-smi does not answer within {timeout:.0f} s") from None
        file.seek(0)
        output = file.read(1 << 20).decode("utf-8", "replace")
    if process.returncode:
        raise GpuUnknown((output.strip().splitlines() or [f"nvidia-smi ended with {process.returncode}"])[0][:400])
    return output


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _decimal(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None
