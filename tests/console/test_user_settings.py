"""The operator's settings: defaults, what is read, and one line with file, line and field for what cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.user_settings import NotifySettings, UserSettings, read_key_choices, read_settings, settings_folder
from engine.contract.bad_input import BadInput


def test_without_files_there_are_defaults_and_no_moved_key(tmp_path: Path) -> None:
    assert read_settings(tmp_path / "none") == UserSettings()
    assert read_key_choices(tmp_path) == ()


def test_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        'theme = "high-contrast-light"\nglyphs = "blocks"\nvim_keys = true\n\n'
        '[notify]\ncommand = ["notify-send", "runs"]\nbell = false\nosc9 = true\n'
    )
    notify = NotifySettings(("notify-send", "runs"), bell=False, osc9=True)
    assert read_settings(tmp_path) == UserSettings("high-contrast-light", "blocks", vim_keys=True, notify=notify)


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ("x = [\n", 1, None),
        ('theme = "dark"\ncolour = 1\n', 2, "colour"),
        ('theme = "pink"\n', 1, "theme"),
        ('glyphs = "emoji"\n', 1, "glyphs"),
        ('vim_keys = "yes"\n', 1, "vim_keys"),
        ('theme = "dark"\n[notify]\nbel = true\n', 3, "notify.bel"),
        ('[notify]\ncommand = "notify-send"\n', 2, "notify.command"),
        ('[notify]\ncommand = ["a", ""]\n', 2, "notify.command"),
    ],
)
def test_what_cannot_be_used_is_named_with_line_and_field(
    tmp_path: Path, text: str, line: int, field: str | None
) -> None:
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(BadInput) as error:
        read_settings(tmp_path)
    assert (error.value.file, error.value.line, error.value.field) == (tmp_path / "settings.toml", line, field)


@pytest.mark.parametrize("text", ["abort = 3\n", "abort = []\n", 'abort = ["a", 1]\n', 'abort = ""\n'])
def test_an_entry_that_is_no_key_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys.toml").write_text("# mine\n" + text)
    with pytest.raises(BadInput, match=r"keys\.toml:2: abort: expected a key"):
        read_key_choices(tmp_path)


def test_the_folder_is_that_of_the_user_s_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings_folder() == tmp_path / "qllm-console"
