"""Moved keys: those of keys.toml and of vim, and what is refused because a key would mean two things."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.ui.actions import SCOPES, default_actions
from console.ui.keymap import VIM_KEYS, key_name, read_keys
from engine.contract.bad_input import BadInput


def keys_of(tmp_path: Path, text: str, *, vim_keys: bool = False) -> dict[str, tuple[str, ...]]:
    (tmp_path / "keys.toml").write_text(text)
    return read_keys(tmp_path, vim_keys=vim_keys)


def test_any_action_is_moved_by_its_id_to_one_key_or_several(tmp_path: Path) -> None:
    moved = keys_of(tmp_path, 'quit = "ctrl+q"\nabort = ["ctrl+x", "X"]\nabort_all = "f9"\nhelp = ["?", "F2"]\n')
    assert moved == {
        "quit": ("ctrl+q",),
        "abort": ("ctrl+x", "X"),
        "abort_all": ("f9",),
        "help": ("question_mark", "f2"),
    }


def test_two_actions_may_change_places(tmp_path: Path) -> None:
    assert keys_of(tmp_path, 'sync_now = "v"\nverify = "s"\n') == {"sync_now": ("v",), "verify": ("s",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lunch = "k"', "keys.toml:1: lunch: there is no such action; known: "),
        ('quit = "hyper+q"', "keys.toml:1: quit: 'hyper+q' is no key"),
        ('quit = "quit"', "keys.toml:1: quit: 'quit' is no key"),
        ('quit = "ctrl+i"', "keys.toml:1: quit: terminals send Ctrl+I as Tab"),
        ('# q\nverify = "p"', "keys.toml:2: verify: p would also do this: Hash the local copy again"),
        ('glyphs = "x"', "keys.toml:1: glyphs: x is the key of: Abort the selected run"),
        ('launch = "w"', "keys.toml:1: launch: w is the key of: Launch the selected run"),
        ('quit = "1"', "keys.toml:1: quit: 1 would also do this: Leave the console"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_file_line_and_action(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        keys_of(tmp_path, text + "\n")
    assert str(error.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(error.value)


def test_the_keys_of_vim_have_one_meaning_each_and_all_belong_to_actions(tmp_path: Path) -> None:
    moved = read_keys(tmp_path, vim_keys=True)
    assert moved == VIM_KEYS and moved["launch"] == ("ctrl+l",)
    assert set(moved) <= {action.id for scope in SCOPES for action in default_actions(scope)}


def test_what_is_chosen_goes_before_the_keys_of_vim(tmp_path: Path) -> None:
    assert keys_of(tmp_path, 'launch = "f8"\n', vim_keys=True)["launch"] == ("f8",)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("a", "a"),
        ("X", "X"),
        ("shift+x", "X"),
        ("?", "question_mark"),
        ("\\", "backslash"),
        ("Ctrl+L", "ctrl+l"),
        ("ctrl++", "ctrl+plus"),
        ("Esc", "escape"),
        ("PgUp", "pageup"),
        ("page_up", None),
        ("ctrl+ctrl+a", None),
        ("", None),
        ("\x1b", None),
    ],
)
def test_keys_are_written_as_they_are_printed(typed: str, name: str | None) -> None:
    assert key_name(typed) == name
