"""The host's GPUs as nvidia-smi tells of them. One that is lost, cannot be read or hangs is a word about it, never an error."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

FIELDS = ("name", "memory.total", "memory.used", "utilization.gpu", "driver_version")
USER_FIELDS = ("pid", "process_name", "used_memory")
ASK_TIMEOUT_S = 10.0
AFTERWARDS_S = 3.0  # an abort waits so long for the driver to let go; its console waits longer
AGAIN_S = 0.2


class Silent(Exception):
    """nvidia-smi does not tell; the text is why, in its own words where it has any."""


class Missing(Silent):
    """There is no nvidia-smi."""


def gpus() -> tuple[list[dict[str, Any]], str]:
    """Each GPU's name, driver, memory (MiB) and utilization (percent), None where it says N/A; and why there are none."""
    try:
        lines = _query("--query-gpu", FIELDS, ASK_TIMEOUT_S)
    except Silent as silent:
        return [], str(silent)
    found = []
    for line in lines:
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(FIELDS):
            total, used, utilization = map(_number, parts[1:4])
            found.append(
                {
                    "name": parts[0],
                    "driver": parts[4],
                    "memory_total": total,
                    "memory_used": used,
                    "utilization": utilization,
                }
            )
    return found, ""


def users(seconds: float = ASK_TIMEOUT_S) -> list[dict[str, Any]]:
    """Processes on the GPUs: pid, name, memory in MiB or None.

    Raises:
        Silent: nvidia-smi does not tell.
    """
    found = []
    for line in _query("--query-compute-apps", USER_FIELDS, seconds):
        pid, _, rest = line.partition(",")
        name, _, memory = rest.rpartition(",")
        if _number(pid) is None:
            raise Silent(f"nvidia-smi answers {line.strip()[:200]}")
        found.append({"pid": _number(pid), "name": name.strip()[:200], "memory": _number(memory)})
    return found


def verdict(pids: frozenset[int]) -> str:
    """Whether the processes ``pids``, which were just ended, are off the GPUs; "" where nvidia-smi is not there to say so."""
    deadline = time.monotonic() + AFTERWARDS_S
    while pids:
        try:
            on = {user["pid"] for user in users(max(deadline - time.monotonic(), AGAIN_S))}
        except Missing:
            return ""
        except Silent as silent:
            return f"; whether the GPU is free is not known: {silent}"
        still = sorted(on & pids)
        if not still:
            return "; GPU free of it, by nvidia-smi; others use it" if on else "; GPU free, by nvidia-smi"
        if time.monotonic() + AGAIN_S > deadline:
            return f"; STILL ON THE GPU, by nvidia-smi: process {', '.join(map(str, still))}"
        time.sleep(AGAIN_S)
    return ""


def _query(what: str, fields: Sequence[str], seconds: float) -> list[str]:
    """The lines that nvidia-smi prints, one a GPU or a process.

    Raises:
        Silent: it does not tell.
    """
    smi = shutil.which("nvidia-smi")
    if smi is None:
        raise Missing("no nvidia-smi: no NVIDIA GPU, or no driver")
    said = _said([smi, f"{what}={','.join(fields)}", "--format=csv,noheader,nounits"], seconds)
    return [line for line in said.splitlines() if line.strip()]


def _said(command: list[str], seconds: float) -> str:
    """What it prints. It is not waited for once it has been killed: behind a lost GPU it may stay in the kernel for ever."""
    with tempfile.TemporaryFile() as output:
        try:
            asked = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except OSError as error:
            raise Silent(f"nvidia-smi cannot be run: {error.strerror}") from error
        try:
            asked.wait(seconds)
        except subprocess.TimeoutExpired:
            asked.kill()
            with suppress(subprocess.TimeoutExpired):
                asked.wait(AGAIN_S)
            raise Silent(f"nvidia-smi does not answer within {seconds:.0f} s") from None
        output.seek(0)
        said = output.read(1 << 20).decode("utf-8", "replace")
    if asked.returncode:
        raise Silent((said.strip().splitlines() or [f"nvidia-smi ended with {asked.returncode}"])[0][:400])
    return said


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None
