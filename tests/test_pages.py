"""What the pages say of the project's files: each file, name and heading that they refer to is there."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")} - {ROOT / "CHANGELOG.md"}
)  # a changelog tells of what is gone
FOLDERS = ("console", "engine", "tests", "tools", "configs", "docs")
USERS_FILES = {f"{module}.py" for module in sys.stdlib_module_names}  # named where one stands in a module's way
NAMES = re.compile(r"`([^`\n]+)`")
FILE = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./*-]*|\w+\.py")


@cache
def project_files() -> frozenset[str]:
    """Path of every file and folder of ``FOLDERS`` from the project's root, and of those beside them."""
    found = [path for path in ROOT.iterdir() if path.is_file() or path.name in FOLDERS]
    found += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
    return frozenset(path.relative_to(ROOT).as_posix() for path in found)


def missing_files(text: str) -> Iterator[str]:
    """Files named in ``text`` that the project lacks; one without a folder may be in any folder, or be a user's own."""
    for name in NAMES.findall(text):
        if FILE.fullmatch(name) is None or name in USERS_FILES:
            continue
        path = name.rstrip("/")
        known = project_files()
        if path not in known and not any(one.endswith(f"/{path}") for one in known) and not [*ROOT.glob(path)]:
            yield name


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert list(missing_files(page.read_text())) == []


def test_a_file_that_was_moved_is_found_out() -> None:
    gone = "`console/replay_session.py`, `console/results/`, `verdict.py` and `nowhere.py`"
    assert list(missing_files(gone)) == ["console/replay_session.py", "nowhere.py"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_page_and_a_heading_of_it(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http:", "https:")):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not heading or heading in headings(target), f"{page.name}: {link}"


@pytest.mark.parametrize("name", ["architecture", "decisions", "glossary", "statistics"])
def test_lines_of_prose_fit_a_window(name: str) -> None:
    """Tables of figures are exempt: each row is one line."""
    lines = (ROOT / "docs" / f"{name}.md").read_text().splitlines()
    assert [line for line in lines if len(line) > 144 and not line.startswith("|")] == []


def rows() -> Iterator[str]:
    """Each entry of "Where a change goes", as one line."""
    section = ARCHITECTURE.read_text().split("## Where a change goes\n")[1]
    for entry in re.split(r"^- ", section, flags=re.MULTILINE)[1:]:
        yield " ".join(re.split(r"\n\n", entry)[0].split())


def files_of(row: str) -> list[Path]:
    """The files and folders that a row names; one without a folder is beside the file before it, or below its folders."""
    found: list[Path] = []
    beside = ROOT
    for name in NAMES.findall(row):
        if re.fullmatch(r"[\w./*-]+\.(py|toml|md)|(?:\w+/)+(?:[\w.*]+)?", name) is None or name.startswith("."):
            continue
        path = next((one for place in [beside, *beside.parents] for one in place.glob(name.rstrip("/"))), None)
        assert path is not None, f"{name} in: {row}"
        found.append(path)
        beside = path if path.is_dir() else path.parent
    return found


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: re.sub(r"\W+", "-", row)[:40])
def test_what_a_change_needs_is_where_the_page_says(row: str) -> None:
    files = files_of(row)
    sources = [one for path in files for one in (path.rglob("*") if path.is_dir() else [path]) if one.is_file()]
    text = "\n".join(one.read_text() for one in sources if one.suffix in (".py", ".toml"))
    for name in NAMES.findall(row):
        if re.fullmatch(r"_?[A-Za-z]\w+", name) and sources:
            assert re.search(rf"\b{name}\b", text), f"{name} is in none of {[one.name for one in files]}"


def tree() -> Iterator[str]:
    """Each path that the tree of folders shows."""
    block = ARCHITECTURE.read_text().split("## Folders\n")[1].split("\n## ")[0]
    above: list[str] = []
    for line in block.splitlines():
        indent = (len(line) - len(line.lstrip()) - 4) // 2
        names = [] if not line.strip() or indent > 5 else re.split(r"\s{2,}", line.strip())[0].split(" ")
        for name in names:
            above[indent:] = [name.rstrip("/")]
            yield "/".join(above)


def test_the_tree_shows_what_is_there() -> None:
    assert set(tree()) - {"runs"} - project_files() == set()  # runs/ is made by the first run


def test_the_tree_shows_every_package_and_every_module_of_the_console_itself() -> None:
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for name in ("console", "engine")
        for path in (ROOT / name).rglob("__init__.py")
    }
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "console").glob("[!_]*.py")}
    assert (packages | modules) - set(tree()) == set()


def test_the_layers_are_those_that_are_held() -> None:
    """The page's chains of imports, against the contracts of import-linter."""
    section = ARCHITECTURE.read_text().split("## What may import what\n")[1].split("\n## ")[0]
    block = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    shown = {}
    for chain in re.split(r"\n(?=\S)", block):
        name, *words = chain.split()
        shown[name] = [{*layer.split(" | ")} for layer in " ".join(words).split(" > ")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {
        one["containers"][0]: [{*layer.split(" | ")} for layer in one["layers"]]
        for one in contracts
        if one["type"] == "layers"
    }
    assert shown == held
