"""The shipped agent: complete, first on the host's path, and understood by old Pythons."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from console.hosts.remote.agent_package import agent_file
from tests.console.hosts.pythons import python_of

CONTENT, DIGEST = agent_file()
MODULES = zipfile.ZipFile(io.BytesIO(CONTENT)).namelist()


def test_another_engine_installed_on_the_host_is_not_imported(tmp_path: Path) -> None:
    agent = tmp_path / "agent.pyz"
    agent.write_bytes(CONTENT)
    for package in ("engine", "console"):
        (tmp_path / "other" / package).mkdir(parents=True)
        (tmp_path / "other" / package / "__init__.py").write_text("raise SystemExit('another package was imported')")
    lines = "".join(json.dumps({"id": number, "verb": verb}) + "\n" for number, verb in enumerate(("hello", "facts")))
    # without site-packages: the agent needs nothing but the standard library
    done = subprocess.run(
        [sys.executable, "-S", str(agent), "serve", str(tmp_path / "host")],
        input=lines,
        env={"PYTHONPATH": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        check=True,
    )
    replies = {reply["id"]: reply for reply in map(json.loads, done.stdout.splitlines())}
    assert replies[0]["ok"]["sha256"] == DIGEST and replies[1]["ok"]["workspace"] == str(tmp_path / "host")


@pytest.mark.parametrize("name", MODULES)
def test_python_3_8_can_parse_every_module(name: str) -> None:
    tree = ast.parse(zipfile.ZipFile(io.BytesIO(CONTENT)).read(name), feature_version=(3, 8))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    inside = [module.replace(".", "/") for module in imported if module.startswith(("console", "engine"))]
    assert all(f"{module}.py" in MODULES or f"{module}/__init__.py" in MODULES for module in inside), inside


@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_every_module_can_be_imported_on_old_pythons(tmp_path: Path, version: str) -> None:
    agent = tmp_path / "agent.pyz"
    agent.write_bytes(CONTENT)
    modules = [
        name[:-3].replace("/", ".") for name in MODULES if name.endswith(".py") and not name.startswith("__main__")
    ]
    code = f"import sys; sys.path.insert(0, {str(agent)!r})\nfor name in {modules!r}: __import__(name)"
    subprocess.run([python_of(version), "-IS", "-c", code], check=True)
