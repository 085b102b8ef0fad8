"""``docs/commands.md`` is what the command line is now; its examples parse, and so do those of the README."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from console import exit_codes
from console.cli import _COMMANDS, parse
from tests.console.commands.commands_page import EXAMPLES, PAGE, page

README = Path(__file__).parents[3] / "README.md"


def test_the_page_is_as_the_command_line_is_now() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.console.commands.commands_page"


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_parses_as_the_command_it_is_of(name: str) -> None:
    for example in EXAMPLES[name]:
        assert parse(shlex.split(example)).command == name


def test_every_command_has_examples() -> None:
    assert set(EXAMPLES) == {*_COMMANDS, "view"}


@pytest.mark.parametrize("path", [PAGE, README])
def test_every_exit_code_is_listed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    codes = [value for name, value in vars(exit_codes).items() if name.isupper()]
    assert len(codes) == len(set(codes)) == 9
    assert all(re.search(rf"^\| {code} \|", text, re.MULTILINE) for code in codes)
