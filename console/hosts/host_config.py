"""Hosts that experiments can run on, read from ``hosts.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.contract.bad_input import BadInput
from engine.contract.toml_file import line_of, read_toml


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
    cpus: Annotated[int, Meta(ge=1)] | None = None
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
            runs folder.
        slots: number of runs at the same time; ignored with Slurm.
        device: ``auto`` is CUDA if there is a GPU.
        address, user, port, identity, jump: as in ssh; None takes them from ``~/.ssh/config``.
        python: the host's Python, which runs the agent and creates the engine's environment.
        price_per_hour, currency: what an hour of the host costs, such as 1.2 and ``EUR``; runs are then shown with their
            cost.
        gpu_memory_gib: expected memory of each GPU in GiB, which preflight checks.
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
    gpu_memory_gib: Annotated[float, Meta(gt=0)] | None = None
    price_per_hour: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    currency: Annotated[str, Meta(pattern=r"^([A-Z]{3})?$")] = ""
    slurm: SlurmSettings | None = None


class _Hosts(Struct, frozen=True, forbid_unknown_fields=True):
    hosts: dict[str, HostConfig]


def read_hosts(path: Path) -> dict[str, HostConfig]:
    """Every host of the file, by name, as far as its types go; raises BadInput."""
    return read_toml(path, _Hosts).hosts


def read_host(path: Path, name: str) -> HostConfig:
    """The host called ``name``.

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
                raise _missing(path, name, field, f"launcher {host.launcher!r} needs it")
    if host.price_per_hour is not None and not host.currency:
        raise _missing(path, name, "currency", "price_per_hour needs it, such as EUR")
    return host


def _missing(path: Path, host: str, field: str, why: str) -> BadInput:
    line = line_of(path.read_text(encoding="utf-8"), f"hosts.{host}")
    return BadInput(why, file=path, line=line, field=f"hosts.{host}.{field}")
