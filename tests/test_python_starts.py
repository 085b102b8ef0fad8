"""Every Python that the product starts imports no module of the user's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [path for package in ("console", "engine", "tools") for path in sorted((ROOT / package).rglob("*.py"))]
ISOLATED = ("'-I'", "'-IS'", "isolated_python()")


def unprotected(source: str) -> list[int]:
    """Lines with an argument list that starts Python without what keeps modules of the current folder from counting."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.List, ast.Tuple, ast.Call)):
            continue
        arguments = node.args if isinstance(node, ast.Call) else node.elts
        inner = [one.value if isinstance(one, ast.Starred) else one for one in arguments]
        words = {one.value for one in inner if isinstance(one, ast.Constant)}
        starts = any(ast.unparse(one) == "sys.executable" for one in inner) and len(inner) > 1
        if (starts or "-m" in words) and not any(flag in ast.unparse(node) for flag in ISOLATED):
            found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if "executable" in (text := path.read_text()) or '"-m"' in text]
)
def test_python_is_started_isolated(path: Path) -> None:
    assert unprotected(path.read_text()) == [], path


def test_an_unprotected_start_is_found() -> None:
    assert unprotected('run([sys.executable, "-m", "pip"])\nrun([python, "-I", "-m", "pip"])\nf(sys.executable)') == [1]
    assert unprotected('run(sys.executable, "-u", file)\nrun(*isolated_python(), "-m", "venv")') == [1]
