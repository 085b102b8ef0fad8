"""A host whose Python is too old for the engine: uv installs one into the workspace, from a mirror on the loopback."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from console.hosts.preflight.checks import checklist
from console.hosts.preflight.examine import examine_host, make_environment
from console.hosts.remote import uv
from console.hosts.remote.uv import UvUnavailable, cache_folder, fetch_wheel
from tests.console.hosts.conftest import Host
from tests.console.hosts.preflight.test_examine import FEW
from tests.console.hosts.pythons import python_of
from tests.console.hosts.sshd import ME, Sshd, started

# Debian's sitecustomize.py is a link to /etc, which no archive may hold
LEFT_OUT = ("sitecustomize.py", "test", "idlelib", "lib2to3", "tkinter", "turtledemo", "site-packages", "dist-packages")
NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def standalone_python(path: Path) -> None:
    """The Python that runs this as an archive like those of python-build-standalone, which uv installs."""
    stdlib = Path(sysconfig.get_path("stdlib"))

    def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = Path(entry.name).parts
        unneeded = any(part in LEFT_OUT or part.startswith("config-") for part in parts) or entry.name.endswith(".a")
        return None if unneeded else entry

    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(Path(sys.executable).resolve(), f"python/bin/{NAME}")
        archive.add(stdlib, f"python/lib/{NAME}", filter=kept)
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"python/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, NAME
            archive.addfile(link)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """URL of a list of Pythons, in uv's format, with this one alone, from a server on the loopback."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    archive = folder / "python.tar.gz"
    standalone_python(archive)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    machine, version = platform.machine(), sys.version_info
    about: dict[str, Any] = {
        "name": "cpython",
        "arch": {"family": machine, "variant": None},
        "os": "linux",
        "libc": "gnu",
    }
    about |= {"major": version.major, "minor": version.minor, "patch": version.micro, "prerelease": ""}
    about |= {"url": f"{url}/{archive.name}", "sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}
    about |= {"variant": None, "build": "20260101"}
    (folder / "list.json").write_text(json.dumps({f"cpython-{platform.python_version()}-linux-{machine}-gnu": about}))
    yield f"{url}/list.json"
    server.shutdown()
    server.server_close()


async def require_uv() -> None:
    try:
        await fetch_wheel(platform.machine(), cache_folder())
    except UvUnavailable as error:
        pytest.skip(str(error))


@pytest.mark.fault("a host with Python 3.8", "the engine gets a Python of its own from a mirror")
async def test_the_engine_gets_a_python_of_its_own(tmp_path: Path, operator: Path, mirror: str) -> None:
    await require_uv()
    (folder := tmp_path / "sshd").mkdir()
    with started(Sshd(folder, ME, settings=(f"SetEnv UV_PYTHON_DOWNLOADS_JSON_URL={mirror}",))) as sshd:
        config = replace(sshd.host(tmp_path / "host"), python=python_of("3.8"))
        host = Host(tmp_path / "host", config, sshd.access(operator))
        async with host.open_connection() as (connection, link):
            states = [now async for now in make_environment(config, connection, link, requirements=FEW)]
            assert states[0].step.startswith("sending uv") and states[-1].state == "ready", states[-1]
            found = await examine_host(config, connection, link)
            check = next(check for check in checklist(found, config, 1) if check.name == "Python")
            again = [now.state async for now in make_environment(config, connection, link, requirements=FEW)]
    assert again == ["ready"]
    assert check.status == "ok" and check.found.endswith(f"; the engine has its own, {platform.python_version()}")
    python = states[-1].python
    code = "import sys, msgspec; print(sys.base_prefix)"
    base = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert Path(base).is_relative_to(host.workspace / "env" / "python")


@pytest.mark.fault("a Python for the host cannot be fetched", "one line names the setting")
async def test_a_python_that_cannot_be_had_is_one_line_that_names_the_setting(tmp_path: Path, operator: Path) -> None:
    await require_uv()
    (folder := tmp_path / "sshd").mkdir()
    nowhere = "SetEnv UV_PYTHON_INSTALL_MIRROR=http://127.0.0.1:9 UV_HTTP_RETRIES=0"
    with started(Sshd(folder, ME, settings=(nowhere,))) as sshd:
        config = replace(sshd.host(tmp_path / "host"), python=python_of("3.8"))
        async with Host(tmp_path / "host", config, sshd.access(operator)).open_connection() as (connection, link):
            states = [now async for now in make_environment(config, connection, link, requirements=FEW)]
            found = await examine_host(config, connection, link)
    assert states[-1].state == "failed"
    assert states[-1].error.startswith("Failed to install cpython-3.1") and "refused" in states[-1].error
    assert states[-1].error.endswith("; a newer Python can be named as `python` in hosts.toml")
    checks = {check.name: check for check in checklist(found, config, 1)}
    assert checks["engine"].found == states[-1].error
    assert "`python` in hosts.toml" in checks["Python"].advice


@pytest.mark.fault("the wheel of uv cannot be fetched, or is another one", "it is not used")
async def test_a_wheel_of_uv_that_cannot_be_fetched_or_is_another_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UvUnavailable, match=f"uv {uv.VERSION} cannot be fetched: No matching distribution.*by hand"):
        await fetch_wheel("x86_64", tmp_path / "cache")
    with pytest.raises(UvUnavailable, match="no wheel for ppc64le"):
        await fetch_wheel("ppc64le", tmp_path / "cache")
    name = f"uv-{uv.VERSION}-py3-none-manylinux2014_x86_64.whl"
    (index / name).write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(UvUnavailable, match=r"cannot be fetched|not uv"):
        await fetch_wheel("x86_64", tmp_path / "cache")
    content = b"put there by hand"
    monkeypatch.setitem(uv.WHEELS, "x86_64", uv.WHEELS["x86_64"]._replace(sha256=hashlib.sha256(content).hexdigest()))
    (by_hand := tmp_path / "cache" / f"{uv.VERSION}-x86_64" / name).write_bytes(content)
    assert await fetch_wheel("x86_64", tmp_path / "cache") == by_hand
