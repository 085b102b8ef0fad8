"""TOML in, typed structs out; errors at the right line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec import Struct

from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.toml_file import find_config, line_of, parse_toml, read_text

FILE = Path("x.toml")


class Leaf(Struct, forbid_unknown_fields=True):
    size: int
    names: tuple[str, ...] = ()


class Tree(Struct, forbid_unknown_fields=True):
    leaves: dict[str, Leaf] = {}
    rows: tuple[Leaf, ...] = ()


def error_of(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        parse_toml(text, Tree, FILE)
    return str(caught.value)


def test_toml_is_converted_to_structs() -> None:
    tree = parse_toml('[leaves.a]\nsize = 1\nnames = ["x"]\n[[rows]]\nsize = 2\n', Tree, FILE)
    assert tree.leaves["a"] == Leaf(1, ("x",)) and tree.rows == (Leaf(2),)


def test_the_key_of_a_mapping_is_found_among_good_ones() -> None:
    text = "[leaves.a]\nsize = 1\n[leaves.b]\nsize = 2\nnames = [3]\n[leaves.c]\nsize = 3\n"
    assert error_of(text).startswith("x.toml:5: leaves.b.names: must be text, not a whole number")


def test_a_missing_field_is_shown_at_its_table() -> None:
    assert error_of("[leaves.a]\nsize = 1\n\n[leaves.b]\n").startswith("x.toml:4: leaves.b.size: ")


def test_syntax_errors_have_the_line_of_the_parser() -> None:
    assert error_of("[leaves.a]\nsize = \n").startswith("x.toml:2: not valid TOML")
    assert error_of("[leaves.a]\nsize = 1\nsize = 2\n").startswith("x.toml:3: not valid TOML")
    assert error_of('x = """').startswith("x.toml:1: not valid TOML")


@pytest.mark.parametrize(
    ("field", "line"),
    [("a", 1), ("b", 2), ("b.c", 3), ("b.c.d", 4), ("e.f", 6), ("b.missing", 2), ("nowhere", None), ("", None)],
)
def test_lines_of_fields(field: str, line: int | None) -> None:
    text = 'a = 1\n[b]  # table\n[b.c]\nd = "[e]"\n[e]\n"f" = 2\n'
    assert line_of(text, field) == line


def test_a_config_in_the_working_folder_comes_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = find_config("scaling.toml")
    assert read_experiment(shipped).name == "scaling"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "scaling.toml").write_text("")
    assert find_config("scaling.toml").resolve() == tmp_path / "configs" / "scaling.toml"


def test_a_missing_config_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        find_config("nowhere.toml")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("[" * 20_000, "file.toml: not valid TOML: it is nested too deeply"),
        ("{a=" * 5_000, "file.toml: not valid TOML: it is nested too deeply"),
        ("9" * 5_000, "file.toml:2: not valid TOML: a number has more than 4,000 digits"),
    ],
    ids=["lists", "tables", "digits"],
)
def test_toml_that_no_parser_takes_is_one_line(value: str, message: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_toml(f"# lists\nsteps = {value}\n", Numbers, Path("file.toml"))
    assert str(raised.value) == message


class Numbers(Struct):
    steps: int


def test_only_a_newline_ends_a_line() -> None:
    with pytest.raises(BadInput, match=r"file.toml:2: steps: "):
        parse_toml("# a\u2028b\x85c\r\nsteps = 'x'\r\n", Numbers, Path("file.toml"))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_may_never_end_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file.toml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(BadInput, match=r"file.toml: is not a regular file$"):
        read_text(path)
