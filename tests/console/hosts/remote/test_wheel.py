"""The wheel that is sent to hosts, and the requirements that a host installs with it."""

from __future__ import annotations

import io
import re
import zipfile
from email.parser import BytesParser

from console.hosts.remote.wheel import engine_requirements, wheel

CONSOLE_ONLY = {"asyncssh", "platformdirs", "plotext", "scipy", "textual"}
HEAVY = {"torch", "transformers", "tokenizers", "safetensors"}


def names(requirements: list[str] | tuple[str, ...]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in requirements}


def test_the_wheel_has_the_same_bytes_each_time_and_what_it_needs() -> None:
    wheel.cache_clear()
    name, content = wheel()
    assert wheel.__wrapped__() == (name, content)
    assert name.startswith("qllm_console-") and name.endswith("-py3-none-any.whl")
    assert len(content) < 1_200_000


def test_a_plain_install_is_the_console_without_torch() -> None:
    with zipfile.ZipFile(io.BytesIO(wheel()[1])) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        declared = BytesParser().parsebytes(archive.read(path)).get_all("Requires-Dist") or []
    base = names([line for line in declared if "extra ==" not in line])
    assert base >= CONSOLE_ONLY | {"msgspec", "polars"} and not base & HEAVY


def test_a_host_installs_what_the_engine_needs_and_nothing_of_the_console() -> None:
    needed = names(engine_requirements())
    assert needed >= HEAVY | {"msgspec", "numpy", "polars"} and not needed & CONSOLE_ONLY
    assert all("extra" not in line for line in engine_requirements())
