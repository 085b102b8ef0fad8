"""What the console looks like: themes that follow the terminal's background, and the signs that it is drawn with."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from textual import on
from textual.app import App
from textual.driver import Driver
from textual.filter import LineFilter
from textual.widget import Widget

from console.glyphs import is_plain_terminal, next_glyphs
from console.ui.commands import CommandApp
from console.ui.terminal import (
    AsciiFilter,
    BackgroundReported,
    ConsoleDriver,
    ask_background,
    is_awaited,
)
from console.ui.themes import is_dark_by_environment, is_dark_colour, theme_name, themes
from console.user_settings import UserSettings

if TYPE_CHECKING:
    from console.ui.main_screen import MainScreen


class Appearance(CommandApp, inherit_bindings=False):
    """App mixin with the themes and the signs."""

    main: MainScreen
    settings: UserSettings

    def use_settings(self, settings: UserSettings) -> None:
        """Register the themes, and use the one that ``settings`` and the environment ask for."""
        self.settings = settings
        self._ascii_filter = AsciiFilter(getattr(sys.__stderr__, "encoding", None) or "utf-8")  # drawn on by Textual
        for theme in themes():
            self.register_theme(theme)
        self.set_reactive(App.theme, self._theme_for(is_dark_by_environment(os.environ.get("COLORFGBG", ""))))

    def read_other_styles(self) -> None:
        """Read the styles of what is not on the first screen, after the first paint."""
        self.stylesheet.read(Path(__file__).with_name("views.tcss"))
        self.stylesheet.parse()  # reading alone would leave them out until a widget of a new class comes
        if len(self.screen_stack) > 1 or self.main.view != "runs":  # a key was quicker
            self.refresh_css(animate=False)

    def get_driver_class(self) -> type[Driver]:
        """Textual's driver of this platform, with a parser that knows the terminal's replies."""
        found = super().get_driver_class()
        return ConsoleDriver if issubclass(ConsoleDriver, found) else found

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, and that which draws in ASCII if this is wanted."""
        filters = super().get_line_filters()
        return [*filters, self._ascii_filter] if self.main.glyphs.is_ascii else filters

    def _theme_for(self, is_dark: bool) -> str:
        return theme_name(self.settings.theme, is_dark)

    def ask_background(self) -> None:
        """Ask the terminal for its background, after the first paint; a theme that was chosen in full needs no answer."""
        follows = self._theme_for(True) != self._theme_for(False)
        if follows and isinstance(self._driver, ConsoleDriver) and not is_plain_terminal(os.environ.get("TERM", "")):
            ask_background(self._driver.write)

    @on(BackgroundReported)
    def _follow_background(self, message: BackgroundReported) -> None:
        is_dark = is_dark_colour(message.colour)
        if is_dark is not None and is_awaited():
            self.theme = self._theme_for(is_dark)

    @property
    def own_themes(self) -> list[str]:
        """The names of the console's themes."""
        return [theme.name for theme in themes()]

    def use_theme(self, name: str) -> None:
        """Use a theme until the console is closed, whatever the terminal says."""
        self.settings = replace(self.settings, theme=name.removeprefix("normal-"))
        self.theme = name

    def action_cycle_glyphs(self) -> None:
        """Draw with the next set of signs."""
        self.main.glyphs = next_glyphs(self.main.glyphs)
        for screen in self.screen_stack:
            for widget in (screen, *screen.walk_children(Widget)):  # frames and scrollbars too are drawn again
                widget.notify_style_update()
                widget.refresh()
        self.show_notice(f"Signs: {self.main.glyphs.name}.")
