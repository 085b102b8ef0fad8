"""Preflight checklist: a pure function of the findings on a host and its entry in ``hosts.toml``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from console.format import counted, size
from console.hosts.host_config import HostConfig
from console.runs.host_facts import HostFacts


class GpuUser(Struct, frozen=True):
    """A process on the GPU; ``memory`` in MiB, None if unknown."""

    pid: int
    name: str
    memory: int | None


class PreflightFacts(Struct, frozen=True):
    """Facts of a host beyond ``HostFacts``, as the agent reports them.

    Attributes:
        time: the host's clock, Unix time in seconds.
        machine: its processors, as ``uname -m`` names them.
        has_venv: its Python can create virtual environments.
        survives: whether detached processes survive a logout; None if the host does not say.
        writable: whether the user may write into the workspace.
        unset: variables of the entry's ``environment`` that the host does not set.
    """

    time: float
    user: str
    python: str
    machine: str
    has_venv: bool
    gpu_users: tuple[GpuUser, ...]
    survives: bool | None
    writable: bool
    unset: tuple[str, ...] = ()

    @property
    def is_python_too_old(self) -> bool:
        """Whether the engine does not run on the Python that runs the agent."""
        return tuple(int(part) for part in self.python.split(".")[:2] if part.isdigit()) < MIN_PYTHON

    @property
    def makes_environments(self) -> bool:
        """Whether the engine's environment can be made from the host's Python."""
        return self.has_venv and not self.is_python_too_old


class Environment(Struct, frozen=True):
    """The engine's environment on a host.

    Attributes:
        step: what the installation is doing.
        version: of its Python; "" if it is not known.
        host_torch: the host's PyTorch that it uses, such as ``2.6.0+cu124 (CUDA 12.4)``; "" if it has its own.
        check_error: error of the engine's own ``check``; "" if it passes, None if it was not run.
        device_error: why its PyTorch cannot use the host's GPU; "" if it can, or is not to.
    """

    state: Literal["none", "making", "ready", "failed"]
    step: str = ""
    error: str = ""
    python: str = ""
    version: str = ""
    host_torch: str = ""
    check_error: str | None = None
    device_error: str = ""


class Requirements(Struct, frozen=True):
    """The ``requirements.txt`` of a pushed folder; ``changed``: since it was installed into the engine's environment."""

    folder: str
    state: Literal["none", "changed", "making", "ready", "failed"]
    step: str = ""
    error: str = ""


class Findings(Struct, frozen=True):
    """Everything that preflight found; ``clock_offset`` (host minus local) and ``round_trip`` in seconds."""

    login: str
    fingerprint: str
    facts: HostFacts
    preflight_facts: PreflightFacts
    environment: Environment
    clock_offset: float
    round_trip: float
    requirements: tuple[Requirements, ...] = ()


Status = Literal["ok", "warning", "blocker"]
Repair = Literal["environment", "wordnet", "requirements"]


class Check(Struct, frozen=True):
    """One line of the checklist.

    Attributes:
        name: what is checked.
        found: what was found.
        advice: what to do; "" if nothing.
        repair: the repair that does it; None if there is none.
    """

    name: str
    status: Status
    found: str
    advice: str = ""
    repair: Repair | None = None


def worst_status(checks: tuple[Check, ...]) -> Status:
    """The worst status of all checks; ``ok`` if there are none."""
    return max((check.status for check in checks), key=("ok", "warning", "blocker").index, default="ok")


GIB = 2**30
MIB = 2**20
MIN_PYTHON = (3, 11)
MIN_MEMORY = 4 * GIB  # one run holds the token states of the whole data set and the encoder
ENVIRONMENT_CPU, ENVIRONMENT_CUDA = 2 * GIB, 8 * GIB  # PyTorch's builds, measured after installation, rounded up
DATA_BYTES = 2 * GIB  # data and token cache of the full profile
RUN_FOLDER_BYTES = 16 * 2**20
UV_MACHINES = ("x86_64", "aarch64")  # for which the console has a wheel of uv
MAX_CLOCK_OFFSET_S = 2.0
PROMISE_TOLERANCE = 0.9
"""Share of an expected size that must be there: 93% of it, where a seller counts in powers of ten, less 3% that the kernel, the
file system or a GPU's error correction keeps for itself."""


def checklist(found: Findings, host: HostConfig, runs: int) -> tuple[Check, ...]:
    """The preflight checklist for ``runs`` runs on ``host``."""
    return (
        Check("login", "ok", f"{found.login}, host key {found.fingerprint}"),
        *_gpu(found, host),
        _machine(found, host),
        _disk(found, host, runs),
        _python(found, host),
        _environment(found, host),
        *map(_requirements, found.requirements),
        *_variables(found, host),
        _clock(found),
        _logout(found),
    )


def _gpu(found: Findings, host: HostConfig) -> Iterator[Check]:
    gpus = found.facts.gpus
    if not gpus and host.launcher == "slurm":
        wanted = (host.device == "cuda" or host.gpu_memory_gib is not None) and not (host.slurm and host.slurm.gres)
        advice = "Jobs get none either unless the partition gives them: set gres of its slurm table." if wanted else ""
        yield Check("GPU", "warning" if wanted else "ok", "none on this machine; Slurm gives jobs theirs", advice)
        return
    if not gpus:
        needed = host.device == "cuda" or host.gpu_memory_gib is not None
        advice = "Check the driver with nvidia-smi on the host." if needed else "Runs will use the processors."
        yield Check("GPU", "blocker" if needed else "ok", found.facts.gpu_note or "none", advice if needed else "")
        return
    for gpu in gpus:
        memory, advice = "memory unknown", ""
        if gpu.memory_total is None:
            advice = "nvidia-smi does not report its memory: it may be failing or be a MIG slice."
        else:
            memory = f"{gpu.memory_total / 1024:.0f} GiB"
            advice = _promised(host.gpu_memory_gib, gpu.memory_total * MIB, "memory")
        yield Check("GPU", "warning" if advice else "ok", f"{gpu.name}, {memory}, driver {gpu.driver}", advice)
    if host.launcher != "slurm" and host.device != "cpu" and (len(gpus) > 1 or host.slots > 1):
        yield Check("GPUs of runs", "ok", _shared(len(gpus), host.slots))
    if users := found.preflight_facts.gpu_users:
        memory_of = {user.pid: size(user.memory * MIB) if user.memory else "memory unknown" for user in users}
        names = ", ".join(f"{user.name} ({user.pid}, {memory_of[user.pid]})" for user in users)
        policy = "share" if host.launcher == "slurm" or host.device == "cpu" else host.occupied_gpu
        yield Check("GPU users", "warning", names, f"Other processes use a GPU: {_OCCUPIED[policy]}.")


_OCCUPIED = {
    "wait": "while they are on all of them, runs wait (occupied_gpu in hosts.toml)",
    "refuse": "while they are on all of them, runs fail at once (occupied_gpu in hosts.toml)",
    "share": "runs will be slower, or may not fit",
}


def _shared(gpus: int, slots: int) -> str:
    """How runs share GPUs, such as ``2 GPUs for 3 runs at a time: up to 2 runs share one``."""
    text = f"{counted(gpus, 'GPU')} for {counted(slots, 'run')} at a time"
    most = -(-slots // gpus)
    return f"{text}: up to {most} share one" if most > 1 else f"{text}: each has its own"


def _promised(expected_gib: float | None, found: int, what: str) -> str:
    """What to say where ``found`` bytes are clearly less than the entry of the host expects; "" if they are not."""
    if expected_gib is None or found >= expected_gib * GIB * PROMISE_TOLERANCE:
        return ""
    return f"hosts.toml expects {expected_gib:g} GiB {what}."


def _machine(found: Findings, host: HostConfig) -> Check:
    facts = found.facts
    memory = f"{facts.memory_available / GIB:.0f} of {facts.memory_total / GIB:.0f} GiB memory free"
    advice = [f"A run needs {MIN_MEMORY / GIB:.0f} GiB free."] if facts.memory_available < MIN_MEMORY else []
    if host.launcher != "slurm":  # whose runs are on other machines
        if host.cpus is not None and facts.cpus < host.cpus:
            advice.append(f"hosts.toml expects {host.cpus} processors.")
        advice.append(_promised(host.memory_gib, facts.memory_total, "memory"))
    text = " ".join(filter(None, advice))
    status: Status = "warning" if text else "ok"
    return Check("processors and memory", status, f"{facts.cpus} processors, {memory}", text)


def _disk(found: Findings, host: HostConfig, runs: int) -> Check:
    facts = found.facts
    needed = DATA_BYTES + runs * RUN_FOLDER_BYTES
    if found.environment.state != "ready":
        needed += ENVIRONMENT_CUDA if facts.gpus else ENVIRONMENT_CPU
    free = f"{facts.disk_free / GIB:.1f} of {facts.disk_total / GIB:.0f} GiB free in {facts.workspace}"
    advice = ""
    if not found.preflight_facts.writable:
        advice = f"{found.preflight_facts.user} may not write there: name another workspace."
    elif facts.disk_free < needed:
        advice = "Free some space, or name another workspace in hosts.toml."
    status: Status = "blocker" if advice else "ok"
    if not advice and (advice := _promised(host.disk_gib, facts.disk_total, "disk")):
        status = "warning"
    return Check("disk", status, f"{free}, {needed / GIB:.1f} needed", advice)


def _python(found: Findings, host: HostConfig) -> Check:
    facts, environment = found.preflight_facts, found.environment
    if facts.makes_environments or (host.launcher == "embedded" and not facts.is_python_too_old):
        return Check("Python", "ok", facts.python)
    version = facts.python if facts.has_venv else f"{facts.python} without venv"
    if environment.state == "ready":
        return Check("Python", "ok", f"{version}; the engine has its own, {environment.version}".rstrip(", "))
    lacks = "The engine needs 3.11 or newer" if facts.is_python_too_old else "The engine's environment needs venv"
    if facts.machine not in UV_MACHINES:
        return Check("Python", "blocker", version, f"{lacks}: name one as `python` in hosts.toml.")
    advice = f"{lacks}: let uv install one into the workspace, or name one as `python` in hosts.toml."
    return Check("Python", "blocker", version, advice, "environment")


def _environment(found: Findings, host: HostConfig) -> Check:
    environment = found.environment
    match environment.state:
        case "none":
            return Check("engine", "blocker", "not installed on the host", "Install it.", "environment")
        case "making":
            return Check("engine", "blocker", f"being installed: {environment.step}", "Wait until it is installed.")
        case "failed":
            return Check("engine", "blocker", environment.error, "Fix the cause, then install it again.", "environment")
    if environment.device_error:
        status: Status = "blocker" if host.device == "cuda" else "warning"
        advice = "Runs would use the processors. Name a Python that has PyTorch for the host's driver as `python` in hosts.toml."
        return Check("engine", status, environment.device_error, advice)
    if not environment.check_error:
        torch = f", PyTorch {environment.host_torch} of the host" if environment.host_torch else ""
        return Check("engine", "ok", f"installed, {environment.python}{torch}")
    if "WordNet" in environment.check_error and host.launcher != "embedded":
        return Check("engine", "blocker", environment.check_error, "Fetch WordNet.", "wordnet")
    return Check("engine", "blocker", environment.check_error)


def _requirements(pushed: Requirements) -> Check:
    """A pushed folder's requirements. Runs do not import that folder: without them, they run all the same."""
    file = f"{pushed.folder}/requirements.txt"
    name: Repair = "requirements"
    match pushed.state:
        case "ready":
            return Check(name, "ok", f"{file} is installed")
        case "making":
            return Check(name, "warning", f"{file} is being installed: {pushed.step}", "Wait until it is installed.")
        case "failed":
            return Check(name, "warning", f"{file}: {pushed.error}", "Fix the cause, then install it again.", name)
        case "changed":
            return Check(name, "warning", f"{file} has changed since it was installed", "Install it again.", name)
    return Check(name, "warning", f"{file} is not installed", "Install it into the engine's environment.", name)


def _variables(found: Findings, host: HostConfig) -> Iterator[Check]:
    """Variables that ``environment`` of the host's entry names; their values are not asked for."""
    if not host.environment:
        return
    if unset := found.preflight_facts.unset:
        where = (
            "before you start the console" if host.launcher == "embedded" else "on the host, as in ~/.ssh/environment"
        )
        yield Check("variables", "warning", f"not set: {', '.join(unset)}", f"Runs go without: set them {where}.")
    else:
        yield Check("variables", "ok", f"runs get {', '.join(host.environment)}")


def _clock(found: Findings) -> Check:
    text = f"{round(found.clock_offset, 1) + 0.0:+.1f} s from local time, round trip {found.round_trip * 1000:.0f} ms"
    if abs(found.clock_offset) <= MAX_CLOCK_OFFSET_S + found.round_trip:
        return Check("clock", "ok", text)
    return Check("clock", "warning", text, "Harmless to runs, but times shown for the host are its own.")


def _logout(found: Findings) -> Check:
    name = "runs survive logout"
    match found.preflight_facts.survives:
        case True:
            return Check(name, "ok", "detached processes survive")
        case False:
            advice = f"On the host: loginctl enable-linger {found.preflight_facts.user}"
            return Check(name, "blocker", "systemd ends a user's processes at logout", advice)
        case None:
            advice = "To find out, launch a smoke run and log out once."
            return Check(name, "warning", "the host does not say", advice)
