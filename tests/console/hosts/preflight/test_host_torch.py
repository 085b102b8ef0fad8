"""A host whose Python has PyTorch for CUDA: the engine's environment uses that, and none is installed beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from console.hosts.agent import environment as agent_environment
from console.hosts.preflight.checks import checklist
from console.hosts.preflight.examine import environment_name, examine_host, make_environment
from engine.contract.toml_file import find_config
from tests.console.hosts.conftest import Host
from tests.console.hosts.preflight.test_examine import FEW
from tests.console.hosts.sshd import Sshd


def python_with_torch(folder: Path, version: str = "2.6.0+cu124", cuda: str | None = "12.4") -> str:
    """A Python of its own environment, as GPU images have it, with what looks like that PyTorch and a package it needs."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for name, its_version, requires in (
        ("torch", version, "Requires-Dist: sympy==1.13.1\n"),
        ("sympy", "1.13.1", ""),
    ):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(f"from . import version\n__version__ = {its_version!r}\n")
        (packages / name / "version.py").write_text(f"cuda = {cuda!r}\nhip = None\n")
        about = packages / f"{name}-{its_version}.dist-info"
        about.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {its_version}\n{requires}"
        (about / "METADATA").write_text(text)
    return str(folder / "bin" / "python")


async def test_the_hosts_torch_is_used_and_none_is_installed_beside_it(
    tmp_path: Path, sshd: Sshd, operator: Path
) -> None:
    config = replace(sshd.host(tmp_path / "host"), python=python_with_torch(tmp_path / "image"))
    host = Host(tmp_path / "host", config, sshd.access(operator))
    async with host.open_connection() as (connection, link):
        needed = [*FEW, "torch>=2.6"]
        states = [now async for now in make_environment(config, connection, link, requirements=needed)]
        found = await examine_host(config, connection, link)
    assert states[-1].state == "ready", states[-1]
    assert found.environment.host_torch == "2.6.0+cu124 (CUDA 12.4)"
    code = "import msgspec, sympy, torch; print(torch.__version__, torch.__file__, msgspec.__file__, sep='\\n')"
    imported = subprocess.run([states[-1].python, "-I", "-c", code], capture_output=True, text=True, check=True)
    version, torch, msgspec = imported.stdout.splitlines()
    assert version == "2.6.0+cu124" and Path(torch).is_relative_to(tmp_path / "image")
    assert Path(msgspec).is_relative_to(host.workspace / "env" / environment_name())
    ready = replace(found, environment=replace(found.environment, check_error=""))
    check = next(check for check in checklist(ready, config, 1) if check.name == "engine")
    assert check.found.endswith(", PyTorch 2.6.0+cu124 (CUDA 12.4) of the host")


@pytest.mark.parametrize(
    ("version", "cuda", "used"),
    [
        ("2.6.0+cu124", "12.4", True),
        ("2.10.0", "13.0", True),
        ("2.5.1+cu121", "12.1", False),
        ("2.9.0+cpu", None, False),
    ],
)
def test_it_is_used_if_it_is_new_enough_and_built_for_gpus(
    tmp_path: Path, version: str, cuda: str | None, used: bool
) -> None:
    tested = find_config("constraints.txt").read_text()
    (tmp_path / "constraints.txt").write_text(tested)
    (tmp_path / "requirements.txt").write_text("numpy>=2.0\ntorch>=2.6\n")
    found = agent_environment._host_torch(python_with_torch(tmp_path / "image", version, cuda), tmp_path)
    assert (found is not None) == used
    constraints = (tmp_path / "constraints.txt").read_text().splitlines()
    if not used:
        assert constraints == tested.splitlines()
    else:
        assert f"torch=={version}" in constraints
        assert [line for line in constraints if line.startswith(("sympy", "torch"))] == [f"torch=={version}"]


def test_without_torch_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("torch>=2.6\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "image")], check=True)
    assert agent_environment._host_torch(str(tmp_path / "image" / "bin" / "python"), tmp_path) is None


def test_an_environment_with_the_tested_torch_has_a_name_of_its_own() -> None:
    assert environment_name(host_torch=False) != environment_name()
