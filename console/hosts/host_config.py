"""Where the experiment can run: ``configs/hosts.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from engine.contract.bad_input import BadInput
from engine.contract.toml_file import read_toml


class HostConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One host.

    Attributes:
        title: how it is called on screen.
        launcher: ``embedded`` is a loopback SSH server in a process of its own.
        workspace: folder on the host that holds runs, data and cache; None is a folder beside the runs at home.
        slots: how many runs go at a time.
        device: ``auto`` takes CUDA where there is a GPU.
    """

    title: str
    launcher: Literal["embedded"]
    workspace: str | None = None
    slots: Annotated[int, Meta(ge=1, le=64)] = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"


class _Hosts(Struct, frozen=True, forbid_unknown_fields=True):
    hosts: dict[str, HostConfig]


def read_host(path: Path, name: str) -> HostConfig:
    """The host called ``name``.

    Raises:
        BadInput: the file is unusable, or has no such host.
    """
    hosts = read_toml(path, _Hosts).hosts
    if name not in hosts:
        raise BadInput(f"no host {name!r}; known: {', '.join(hosts)}", file=path, field="--host")
    return hosts[name]
