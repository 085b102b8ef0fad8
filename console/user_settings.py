"""The operator's own settings: theme, signs, keys and notifications, read from a folder of the user's configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from console.glyphs import GlyphName
from engine.contract.bad_input import BadInput
from engine.contract.toml_file import line_of, load_toml, read_text, read_toml

SETTINGS_FILE, KEYS_FILE = "settings.toml", "keys.toml"
ThemeChoice = Literal[
    "auto",
    "dark",
    "light",
    "high-contrast",
    "high-contrast-dark",
    "high-contrast-light",
    "colour-blind",
    "colour-blind-dark",
    "colour-blind-light",
]


class NotifySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the console tells that a run has ended or a host was lost, beside a line on its own screen.

    Attributes:
        command: a program and its arguments, run without a shell; ``{title}`` and ``{text}`` in them are replaced, and
            without a ``{text}`` the text is added as the last argument.
        bell: ring the terminal's bell.
        osc9: send the text to the terminal as a desktop notification (OSC 9), which not every terminal has.
    """

    command: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    bell: bool = True
    osc9: bool = False


class UserSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The contents of ``settings.toml``.

    Attributes:
        theme: colours; without ``-dark`` or ``-light`` they follow the terminal's background.
        glyphs: the signs to draw with; ``auto`` is what the terminal can show.
        vim_keys: move by ``h j k l g G Ctrl+D Ctrl+U`` too; launch is then on Ctrl+L.
    """

    theme: ThemeChoice = "auto"
    glyphs: Literal["auto"] | GlyphName = "auto"
    vim_keys: bool = False
    notify: NotifySettings = NotifySettings()


def settings_folder() -> Path:
    """``$XDG_CONFIG_HOME/qllm-console``, or where this system keeps a user's configuration."""
    if folder := os.environ.get("XDG_CONFIG_HOME"):
        return Path(folder) / "qllm-console"
    from platformdirs import user_config_path

    return user_config_path("qllm-console")


def state_folder() -> Path:
    """``$XDG_STATE_HOME/qllm-console``, or where this system keeps what programs remember."""
    if folder := os.environ.get("XDG_STATE_HOME"):
        return Path(folder) / "qllm-console"
    from platformdirs import user_state_path

    return user_state_path("qllm-console")


def read_settings(folder: Path) -> UserSettings:
    """The settings in ``folder``, the defaults where it has none.

    Raises:
        BadInput: the file is there and unusable; the error names line and field.
    """
    path = folder / SETTINGS_FILE
    return read_toml(path, UserSettings) if path.exists() else UserSettings()


class KeyChoice(Struct, frozen=True):
    """An entry of ``keys.toml``: an action's id and the keys it is to be on, as they are written there."""

    action: str
    keys: tuple[str, ...]
    file: Path
    line: int | None

    def error(self, message: str) -> BadInput:
        """Error about this entry, with file, line and field."""
        from engine.contract.validation_words import dotted  # only here: its expressions would delay every start

        return BadInput(message, file=self.file, line=self.line, field=dotted((self.action,)))


def read_key_choices(folder: Path) -> tuple[KeyChoice, ...]:
    """The entries of ``keys.toml`` in ``folder``; none if it is not there.

    Raises:
        BadInput: it is not TOML, or an entry is neither a key nor a list of keys.
    """
    path = folder / KEYS_FILE
    if not path.exists():
        return ()
    text = read_text(path)
    choices = []
    for action, value in load_toml(text, path).items():
        keys = (value,) if isinstance(value, str) else value
        choice = KeyChoice(action, (), path, line_of(text, action))
        if not isinstance(keys, list | tuple) or not keys or not all(isinstance(key, str) and key for key in keys):
            raise choice.error('expected a key such as "ctrl+l", or a list of keys')
        choices.append(KeyChoice(action, tuple(keys), path, choice.line))
    return tuple(choices)
