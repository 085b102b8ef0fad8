"""Paths as people write them: ``~`` and variables; the home folder and name of a user without an entry in passwd."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from engine.contract.local_paths import expand, expand_home, local_path
from tests.console.nameless_user import UID, nameless


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/josé x")
    monkeypatch.setenv("DATA", "/data")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("~", "/home/josé x"),
        ("~/a b.jsonl", "/home/josé x/a b.jsonl"),
        ("$HOME/ws", "/home/josé x/ws"),
        ("${DATA}/$DATA.d", "/data//data.d"),
        ("a/~/b~", "a/~/b~"),
        ("costs $5 or $", "costs $5 or $"),
        ("relative/josé", "relative/josé"),
    ],
)
def test_home_and_variables_are_replaced_in_files(text: str, found: str) -> None:
    assert expand(text) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("~nobody-here/x", "there is no user 'nobody-here'"),
        ("/data/$NOT_SET_HERE/x", "$NOT_SET_HERE is not set"),
        ("${NOT_SET_HERE}", "${NOT_SET_HERE} is not set"),
        ("a\nb", "new line"),
        ("a\0b", "null byte"),
    ],
)
def test_what_no_path_can_be_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        expand(text)
    assert message in str(raised.value)


def test_in_options_the_shell_has_replaced_variables() -> None:
    assert expand_home("/data/$DATA") == "/data/$DATA"
    assert local_path("~/x") == Path("/home/josé x/x")
    for text in ("", "~nobody-here"):
        with pytest.raises(ArgumentTypeError):
            local_path(text)


PRINT = """
import getpass, sys
from pathlib import Path
from engine.contract.local_paths import ensure_account
ensure_account()
print(Path.home(), getpass.getuser())
"""


def test_a_user_without_an_entry_in_passwd_has_a_home_and_a_name() -> None:
    command = nameless(sys.executable, "-c", PRINT)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == ["/", f"uid{UID}"]
    named = [*command[:-3], "HOME=/data", "USER=me", *command[-3:]]
    done = subprocess.run(named, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == ["/data", "me"]
