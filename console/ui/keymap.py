"""Keys that the operator moves: those of ``keys.toml`` and of vim, checked against the registry before they are used."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from console.ui.action import Action, key_label, named_keys
from console.ui.actions import SCOPES, TOGETHER, Scope, default_actions
from console.user_settings import KeyChoice, read_key_choices
from engine.contract.bad_input import BadInput

KeyMap = dict[str, tuple[str, ...]]

VIM_KEYS: KeyMap = {
    "left": ("left", "h"),
    "down": ("down", "j"),
    "up": ("up", "k"),
    "right": ("right", "l"),
    "home": ("home", "g"),
    "end": ("end", "G"),
    "page_up": ("pageup", "ctrl+u"),
    "page_down": ("pagedown", "ctrl+d"),
    "launch": ("ctrl+l",),
    "toggle_log_scale": ("ctrl+g",),
    "glyphs": ("f2",),
}
_RESERVED = "a key that launches, aborts or replaces means nothing else"
_TEXTUAL_NAMES = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}
_AS_ANOTHER_KEY = {"ctrl+i": "Tab", "ctrl+m": "Enter", "ctrl+left_square_bracket": "Esc"}


def read_keys(folder: Path, *, vim_keys: bool) -> KeyMap:
    """The keys of every action that is not on the keys of the registry, by id.

    Raises:
        BadInput: ``keys.toml`` in ``folder`` names no action or no key, or gives one key two meanings.
    """
    choices = read_key_choices(folder)
    actions = {action.id: action for scope in SCOPES for action in default_actions(scope)}
    moved = dict(VIM_KEYS) if vim_keys else {}
    for choice in choices:
        if choice.action not in actions:
            raise choice.error(f"there is no such action; known: {', '.join(sorted(actions))}")
        moved[choice.action] = tuple(_checked_key(key, choice) for key in choice.keys)
    _check_meanings(actions, moved, choices)
    return moved


def _checked_key(typed: str, choice: KeyChoice) -> str:
    key = key_name(typed)
    if key is None:
        raise choice.error(f"{typed!r} is no key; write it as a, X, ctrl+l, f2, enter, pageup or /")
    if key in _AS_ANOTHER_KEY:
        raise choice.error(f"terminals send {key_label(key)} as {_AS_ANOTHER_KEY[key]}")
    return key


def key_name(typed: str) -> str | None:
    """Textual's name of a key that a person wrote; None if it is none: ``?`` is ``question_mark``, ``PgUp`` ``pageup``."""
    if len(typed) == 1:
        return _character_key(typed)
    *modifiers, last = typed.split("+") if not typed.endswith("++") else [*typed[:-2].split("+"), "+"]
    modifiers = sorted(one.lower() for one in modifiers)
    name = _character_key(last) if len(last) == 1 else named_keys().get(last.lower())
    if name is None or not set(modifiers) <= {"ctrl", "alt", "shift"} or len(set(modifiers)) < len(modifiers):
        return None
    if modifiers == ["shift"] and len(name) == 1:
        return name.upper()
    if "ctrl" in modifiers and len(name) == 1:
        name = name.lower()
    return "+".join([*modifiers, name])


def _character_key(character: str) -> str | None:
    if character.isalnum():
        return character
    if character == " ":
        return "space"
    if not character.isprintable():
        return None
    name = unicodedata.name(character).lower().replace(" ", "_").replace("-", "_")
    return _TEXTUAL_NAMES.get(name, name)


def _check_meanings(actions: Mapping[str, Action], moved: KeyMap, choices: Sequence[KeyChoice]) -> None:
    """Raise BadInput if a key means two things where both could be meant, or what launches is on a key of another."""
    chosen = {choice.action: choice for choice in choices}
    owners = {key: one.id for one in actions.values() if one.is_reserved for key in moved.get(one.id, one.keys)}
    for one in actions.values():
        for key in moved.get(one.id, one.keys):
            owner = owners.get(key, one.id)
            if owner != one.id:
                text = f"{key_label(key)} is the key of: {actions[owner].help}; {_RESERVED}"
                raise _error(chosen.get(one.id) or chosen.get(owner), text)
    for scopes in TOGETHER:
        for one_id, other, key in _shared(scopes, moved):
            text = f"{key_label(key)} would also do this: {actions[other].help}"
            raise _error(chosen.get(one_id) or chosen.get(other), text)


def _shared(scopes: Sequence[Scope], moved: KeyMap) -> list[tuple[str, str, str]]:
    """Two ids and the key that both are on, for every such key of ``scopes``."""
    found: list[tuple[str, str, str]] = []
    seen: dict[str, str] = {}
    for scope in scopes:
        for action in default_actions(scope):
            for key in moved.get(action.id, action.keys):
                if seen.setdefault(key, action.id) != action.id:
                    found.append((seen[key], action.id, key))
    return found


def _error(choice: KeyChoice | None, text: str) -> BadInput:
    return BadInput(text) if choice is None else choice.error(text)
