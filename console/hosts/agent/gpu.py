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
from typing import Any, NamedTuple

from console.hosts.agent.process import PROC, read_stat

FIELDS = (
    "name",
    "memory.total",
    "memory.used",
    "utilization.gpu",
    "driver_version",
    "temperature.gpu",
    "power.draw",
    "uuid",
)
PROCESS_FIELDS = ("pid", "process_name", "used_memory")
QUERY_TIMEOUT_S = 10.0
RELEASE_TIMEOUT_S = 3.0  # how long an abort waits for the driver to release the GPU
RETRY_S = 0.2
CARD = re.compile(r"GPU (\d+): (.+) \(UUID: (GPU-[0-9A-Za-z-]{4,80})\)\s*\Z")
MIG_DEVICE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[0-9A-Za-z/-]{4,80})\)\s*\Z")
HANGING: list[subprocess.Popen[bytes]] = []  # killed by this process, and still there


class GpuUnknown(Exception):
    """nvidia-smi gave no answer; the text is why, in its own words if it has any."""


class NoNvidiaSmi(GpuUnknown):
    """nvidia-smi is not installed."""


class NoAnswerInTime(GpuUnknown):
    """nvidia-smi hangs, as it does behind a GPU that is lost."""


class Card(NamedTuple):
    """A GPU that a run can be bound to, or a MIG device of one.

    Attributes:
        number: as nvidia-smi counts; of a MIG device ``0:1``, the second one of GPU 0.
        gpu: UUID of the GPU that a MIG device is part of, its own one of a GPU.
    """

    uuid: str
    number: str
    name: str
    gpu: str

    @property
    def label(self) -> str:
        """``GPU 0 (NVIDIA L40S)``."""
        return f"GPU {self.number} ({self.name})"


class CardUse(NamedTuple):
    """Use of one GPU: its processes as ``gpu_processes`` reports them, its used memory in MiB, and why these are not known."""

    processes: tuple[dict[str, Any], ...] = ()
    memory: int | None = None
    problem: str = ""


def cards(timeout: float) -> tuple[list[Card], str]:
    """The GPUs that can be used, MIG devices in place of their GPU; and what nvidia-smi says of one that it cannot reach.

    Raises:
        GpuUnknown: nvidia-smi gives no answer.
    """
    code, output = _output([_program(), "-L"], timeout)
    found: list[Card] = []
    others = []
    for line in output.splitlines():
        card, device = CARD.match(line), MIG_DEVICE.match(line)
        if card:
            found.append(Card(card[3], card[1], card[2], card[3]))
        elif device and found:
            gpu, number = found[-1].gpu, found[-1].number.partition(":")[0]
            if found[-1].uuid == gpu:
                found.pop()
            found.append(Card(device[3], f"{number}:{device[2]}", f"MIG {device[1]}", gpu))
        elif line.strip():
            others.append(line.strip()[:400])
    if code and not found:
        raise GpuUnknown(others[0] if others else f"nvidia-smi ended with {code}")
    return found, others[0] if others else ""


def card_uses(gpus: Sequence[str], timeout: float) -> dict[str, CardUse]:
    """Who uses each of the GPUs with these UUIDs. One that does not answer costs the others nothing."""
    memory, problems = _of_each(gpus, "--query-gpu", ("uuid", "memory.used"), timeout)
    processes, more = _of_each(gpus, "--query-compute-apps", ("gpu_uuid", *PROCESS_FIELDS), timeout)
    problems = {**more, **problems}
    return {
        gpu: CardUse(
            # a line without a pid says nothing of whose it is
            tuple(_process(line) for line in processes.get(gpu, ()) if _number(line.partition(",")[0]) is not None),
            next((_number(line) for line in memory.get(gpu, ())), None),
            problems.get(gpu, ""),
        )
        for gpu in gpus
    }


def _of_each(
    gpus: Sequence[str], what: str, fields: Sequence[str], timeout: float
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Rest of the lines of each GPU, whose UUID is the first field; and why there are none.

    One GPU that is lost makes nvidia-smi fail on all of them: each is asked alone then.
    """
    try:
        answers = [(gpus, _query(what, fields, timeout))]
        problems = {}
    except NoAnswerInTime:
        raise
    except GpuUnknown as unknown:
        answers, problems = [], {gpu: str(unknown) for gpu in gpus}
        for gpu in gpus:
            try:
                answers.append(([gpu], _query(what, fields, timeout, f"--id={gpu}")))
                del problems[gpu]
            except NoAnswerInTime:
                raise
            except GpuUnknown as unknown_one:
                problems[gpu] = str(unknown_one)
    found: dict[str, list[str]] = {}
    for asked, lines in answers:
        for line in lines:
            gpu, _, rest = line.partition(",")
            if gpu.strip() in asked:
                found.setdefault(gpu.strip(), []).append(rest)
    return found, problems


def gpus() -> tuple[list[dict[str, Any]], str]:
    """Each GPU: ``name``, ``uuid``, ``driver``, ``memory_total`` and ``memory_used`` in MiB, ``utilization`` in percent,
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
                    "uuid": parts[7],
                }
            )
    return found, ""


def gpu_processes(timeout: float = QUERY_TIMEOUT_S) -> list[dict[str, Any]]:
    """Processes on the GPUs: ``pid``, ``name``, ``memory`` in MiB or None.

    Raises:
        GpuUnknown: nvidia-smi gives no answer.
    """
    return [_process(line) for line in _query("--query-compute-apps", PROCESS_FIELDS, timeout)]


def _process(line: str) -> dict[str, Any]:
    """A line of PROCESS_FIELDS; a name may itself hold commas."""
    pid, _, rest = line.partition(",")
    name, _, memory = rest.rpartition(",")
    if _number(pid) is None:
        raise GpuUnknown(f"nvidia-smi answers {line.strip()[:200]}")
    return {"pid": _number(pid), "name": name.strip()[:200], "memory": _number(memory)}


def gpu_holders() -> list[dict[str, Any]] | None:
    """As ``gpu_processes``, each with ``user`` and ``session``, the id that all processes of a job share.

    None if nvidia-smi gives no answer. ``user`` is "" and ``session`` 0 of a process that this system does not see, as in
    a container.
    """
    try:
        return [{**one, **owner(one["pid"])} for one in gpu_processes()]
    except GpuUnknown:
        return None


def owner(pid: int) -> dict[str, Any]:
    """``user`` and ``session`` of a process, as in ``gpu_holders``."""
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
    remaining: list[int] = []
    while pids:
        try:
            users = {user["pid"] for user in gpu_processes(max(deadline - time.monotonic(), RETRY_S))}
        except NoNvidiaSmi:
            return ""
        except GpuUnknown as unknown:
            # its last answer is what is known
            return _still_text(remaining) if remaining else f"; whether the GPU is free is not known: {unknown}"
        remaining = sorted(users & pids)
        if not remaining:
            return "; GPU free of it, by nvidia-smi; others use it" if users else "; GPU free, by nvidia-smi"
        if time.monotonic() + RETRY_S > deadline:
            return _still_text(remaining)
        time.sleep(RETRY_S)
    return ""


def _still_text(pids: Sequence[int]) -> str:
    return f"; STILL ON THE GPU, by nvidia-smi: process {', '.join(map(str, pids))}"


def _query(what: str, fields: Sequence[str], timeout: float, *options: str) -> list[str]:
    """The lines that nvidia-smi prints, one for each GPU or process."""
    command = [_program(), f"{what}={','.join(fields)}", "--format=csv,noheader,nounits", *options]
    code, output = _output(command, timeout)
    if code:
        raise GpuUnknown((output.strip().splitlines() or [f"nvidia-smi ended with {code}"])[0][:400])
    return [line for line in output.splitlines() if line.strip()]


def _program() -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        raise NoNvidiaSmi("no nvidia-smi: no NVIDIA GPU, or no driver")
    return program


def _output(command: list[str], timeout: float) -> tuple[int, str]:
    """Exit code and output of a command; none is started while an earlier one hangs in the kernel after its kill."""
    # whoever waits for a GPU asks every few seconds: in a night thousands would hang behind one that is lost
    HANGING[:] = [one for one in HANGING if one.poll() is None]
    if HANGING:
        raise NoAnswerInTime("nvidia-smi does not answer: an earlier one hangs and cannot be killed")
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
            try:
                process.wait(RETRY_S)
            except subprocess.TimeoutExpired:
                HANGING.append(process)
            raise NoAnswerInTime(f"nvidia-smi does not answer within {timeout:.0f} s") from None
        file.seek(0)
        output = file.read(1 << 20).decode("utf-8", "replace")
    return process.returncode, output


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _decimal(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text) else None
