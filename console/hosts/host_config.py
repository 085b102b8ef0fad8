"""Hosts that experiments can run on, read from ``hosts.toml``."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.contract.bad_input import BadInput
from engine.contract.local_paths import expand
from engine.contract.toml_file import line_of, read_text, read_toml

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$(?!\n)")]
"""A host's name is part of the names of folders."""

# what a shell would take apart where ProxyCommand names the host, and what names no host; ssh refuses them too
UNSAFE_ADDRESS = re.compile(r"""^-|['`"$\\;&<>|(){}@/\s\x00-\x1f\x7f]|^$""")
UNSAFE_USER = re.compile(r"""^-|['`";&<>|(){}\x00-\x1f\x7f]|\\$|^$""")
MAX_PORT = 65535
WHOLE_FOLDERS = ("/", "//", "~", ".", "..", "$HOME", "${HOME}")
"""A workspace in none of these: its folders would lie among the user's own."""
MAX_NAME_BYTES = 255  # of a file or folder, in all usual file systems
MAX_PATH_BYTES = 4095  # Linux's PATH_MAX, less the zero at the end
MAX_NOTIFY, MAX_URL = 16, 4000
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s\x00-\x1f\x7f]+")


class SlurmSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Options of Slurm jobs; None leaves a choice to the cluster.

    Attributes:
        partition, account, qos, constraint, gres, time: as ``sbatch`` takes them; ``time`` such as ``02:00:00``.
        array: submit the runs of one condition that are launched together as one job array.
    """

    partition: str | None = None
    account: str | None = None
    gres: str | None = None
    time: str | None = None
    cpus: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    memory: str | None = None
    array: bool = True
    qos: str | None = None
    constraint: str | None = None


class HostConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One host of ``hosts.toml``.

    Attributes:
        title: its name on screen.
        launcher: ``embedded`` is a loopback SSH server in a process of its own; ``ssh`` runs jobs on the host itself;
            ``slurm`` submits them there.
        workspace: folder on the host for runs, data and cache; None, for ``embedded`` only, is a folder in the local
            runs folder. ``~``, variables and a relative path are the host's, and so are those of ``python``.
        slots: number of runs at the same time; ignored with Slurm.
        device: ``auto`` is CUDA if there is a GPU.
        address, user, port, identity, jump: as in ssh; None takes them from ``~/.ssh/config``. ``identity`` is a file here.
        python: the host's Python, which runs the agent and creates the engine's environment.
        host_torch: the engine's environment uses the PyTorch for CUDA that ``python`` has, if it is new enough.
        environment: names of variables that runs get beside those that each run needs, with the host's own values.
        price_per_hour, currency: what an hour of the host costs, such as 1.2 and ``EUR``; runs are then shown with their
            cost.
        occupied_gpu: whether a run waits for a GPU that other processes use, is refused (fails at once) or shares it.
        cpus, memory_gib, disk_gib, gpu_memory_gib: what the host is expected to have, which preflight checks: CPUs and
            memory for runs, the size of the workspace's disk, the memory of each GPU; in GiB.
        when_done: a program and its arguments, run on this machine by the console, ``run`` and ``watch --until synced`` once
            every run has ended and every byte on the host is local and verified.
        notify: URLs of services, as apprise takes them, that the host tells when a run has ended; they hold secrets.
    """

    title: str
    launcher: Literal["embedded", "ssh", "slurm"]
    workspace: str | None = None
    slots: Annotated[int, Meta(ge=1, le=64)] = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    address: str | None = None
    user: str | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    identity: str | None = None
    jump: str | None = None
    python: str = "python3"
    host_torch: bool = True
    occupied_gpu: Literal["wait", "refuse", "share"] = "wait"
    cpus: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    memory_gib: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    disk_gib: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    environment: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)")], ...] = ()
    gpu_memory_gib: Annotated[float, Meta(gt=0, le=1e9)] | None = None
    price_per_hour: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?$(?!\n)")] = ""
    when_done: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    notify: tuple[str, ...] = ()
    slurm: SlurmSettings | None = None

    def __repr__(self) -> str:
        return f"HostConfig({self.title!r}, {self.launcher!r})"  # a traceback with values must not show what is secret

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("title", self.title), ("launcher", self.launcher)]


class _Hosts(Struct, frozen=True, forbid_unknown_fields=True):
    hosts: dict[HostName, HostConfig]


def read_hosts(path: Path) -> dict[str, HostConfig]:
    """Every host of the file, by name, as far as its types go; raises BadInput."""
    return read_toml(path, _Hosts).hosts


def read_host(path: Path, name: str) -> HostConfig:
    """The host called ``name``, with ``~`` and variables replaced in what names a file or folder of this machine.

    Raises:
        BadInput: the file is unusable, or has no such host.
    """
    hosts = read_hosts(path)
    if name not in hosts:
        raise BadInput(f"no host {name!r}; known: {', '.join(hosts)}", file=path, field="--host")
    host = hosts[name]
    if host.launcher != "embedded":
        for field in ("address", "workspace"):
            if getattr(host, field) is None:
                raise _wrong(path, name, field, f"launcher {host.launcher!r} needs it")
    for field, why in _wrong_values(host):
        raise _wrong(path, name, field, why)
    for field in ("workspace", "python", "identity"):
        if error := _path_error(field, getattr(host, field)):
            raise _wrong(path, name, field, error)
    changed = {}
    for field in ("identity", "workspace") if host.launcher == "embedded" else ("identity",):
        if (value := getattr(host, field)) is not None:
            try:
                changed[field] = expand(value)
            except ValueError as error:
                raise _wrong(path, name, field, f"{value}: {error}") from error
    host = replace(host, **changed)
    if host.launcher != "embedded":
        for field, why in _wrong_ssh_fields(host):
            raise _wrong(path, name, field, why)
    return host


def split_jump(jump: str) -> tuple[str | None, str, int | None] | None:
    """User, name and port of ``[user@]host[:port]``, also after ``ssh://``; None if it is neither.

    An IPv6 address is in brackets where a port follows.
    """
    user, at, rest = jump.removeprefix("ssh://").rpartition("@")
    name, colon, port = rest.rpartition(":")
    if not colon or (":" in name and not name.endswith("]")):
        name, port = rest, ""
    name = name.removeprefix("[").removesuffix("]")
    if UNSAFE_ADDRESS.search(name) or (at and UNSAFE_USER.search(user)):
        return None
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        return None
    return user or None, name, int(port) if port else None


def _wrong_values(host: HostConfig) -> Iterator[tuple[str, str]]:
    """Fields whose value does not do, and why; none of a URL is quoted."""
    if host.price_per_hour is not None and not host.currency:
        yield "currency", "price_per_hour needs it, such as EUR"
    if len(host.notify) > MAX_NOTIFY:
        yield "notify", f"expected at most {MAX_NOTIFY} URLs, got {len(host.notify):,}"
    for number, url in enumerate(host.notify, 1):
        if len(url) > MAX_URL or not _URL.fullmatch(url):
            yield "notify", f"entry {number} is no URL such as ntfys://ntfy.sh/TOPIC, of up to {MAX_URL:,} characters"


def _wrong_ssh_fields(host: HostConfig) -> Iterator[tuple[str, str]]:
    """Fields with which no connection can succeed, and why."""
    # one colon is that of a port, an IPv6 address has more
    if host.address is not None and (UNSAFE_ADDRESS.search(host.address) or host.address.count(":") == 1):
        yield "address", f"{host.address!r} is no name or address of a host; user and port are fields of their own"
    if host.user is not None and UNSAFE_USER.search(host.user):
        yield "user", f"{host.user!r} has characters that no user's name has"
    jumps = [] if host.jump is None or host.jump.lower() == "none" else host.jump.split(",")
    if any(split_jump(jump.strip()) is None for jump in jumps):
        yield "jump", f"{host.jump!r} is not [user@]host[:port], or several with commas between them"
    if host.identity is not None:
        identity = Path(host.identity)
        if not identity.is_file():
            yield "identity", f"there is no file {identity}"
        elif not os.access(identity, os.R_OK):
            yield "identity", f"{identity} cannot be read"


def _path_error(field: str, value: str | None) -> str:
    """What is wrong with a path as it is written; "" if nothing is."""
    if value is None:
        return ""
    if not value.strip():
        return "is empty"
    if re.search(r"[\0-\x1f\x7f]", value):
        return "a path has no new line or other control characters"
    if max(len(os.fsencode(name)) for name in value.split("/")) > MAX_NAME_BYTES:
        return f"a name in it is longer than {MAX_NAME_BYTES} bytes"
    if len(os.fsencode(value)) > MAX_PATH_BYTES:
        return f"has {len(os.fsencode(value)):,} bytes, a path at most {MAX_PATH_BYTES:,}"
    if field == "python" and value.startswith("-"):
        return "begins with a dash, as options do"
    if field == "workspace" and posixpath.normpath(value) in WHOLE_FOLDERS:
        return f"{value} is more than a workspace: name a folder in it, such as {posixpath.join(value, 'qllm')}"
    return ""


def _wrong(path: Path, host: str, field: str, why: str) -> BadInput:
    line = line_of(read_text(path), f"hosts.{host}.{field}")
    return BadInput(why, file=path, line=line, field=f"hosts.{host}.{field}")
