"""The console's themes: dark and light, in three palettes, each with texts that stand out from every background."""

from __future__ import annotations

import re
from typing import NamedTuple

from textual.theme import Theme

from console.user_settings import ThemeChoice

PALETTES = ("normal", "high-contrast", "colour-blind")


class _Palette(NamedTuple):
    """The colours of a theme; the last six are of texts, the first four of what is below them."""

    background: str
    surface: str
    panel: str
    primary: str
    foreground: str
    muted: str
    success: str
    warning: str
    error: str
    accent: str


# Those for the colour-blind are Okabe and Ito's (2008) or their darker shades: good is blue, bad vermilion.
_COLOURS: dict[tuple[str, bool], _Palette] = {
    ("normal", True): _Palette(
        "#121212", "#1e1e1e", "#242f38", "#0d5fa8", "#e0e0e0", "#a8a8a8", "#78d69b", "#ffb84d", "#ff8f85", "#ffa62b"
    ),
    ("normal", False): _Palette(
        "#f6f6f4", "#ebebe8", "#dfe4e8", "#a9cdf0", "#1f1f1f", "#565656", "#17602f", "#7a4a00", "#a3202c", "#7d3f00"
    ),
    ("high-contrast", True): _Palette(
        "#000000", "#000000", "#1c1c1c", "#004a9c", "#ffffff", "#d6d6d6", "#7dffa4", "#ffe14d", "#ffb0a8", "#ffd75f"
    ),
    ("high-contrast", False): _Palette(
        "#ffffff", "#ffffff", "#ececec", "#b8dcff", "#000000", "#303030", "#004d1a", "#553b00", "#8a0010", "#5a2d00"
    ),
    ("colour-blind", True): _Palette(
        "#121212", "#1e1e1e", "#242f38", "#0d5fa8", "#e0e0e0", "#a8a8a8", "#6cc0f0", "#f0e442", "#ff8a4d", "#e69f00"
    ),
    ("colour-blind", False): _Palette(
        "#f6f6f4", "#ebebe8", "#dfe4e8", "#a9cdf0", "#1f1f1f", "#565656", "#005a8f", "#665500", "#9a3c00", "#7a3f66"
    ),
}


def theme_name(choice: ThemeChoice, is_dark: bool) -> str:
    """The name of the theme that was chosen, for a dark or a light terminal where the choice leaves that open."""
    palette, _, background = choice.rpartition("-")
    if background in ("dark", "light"):
        palette, is_dark = palette or "normal", background == "dark"
    elif choice == "auto":
        palette = "normal"
    else:
        palette = choice
    return f"{palette}-{'dark' if is_dark else 'light'}"


def themes() -> list[Theme]:
    """All themes of the console."""
    return [_theme(palette, is_dark, colours) for (palette, is_dark), colours in _COLOURS.items()]


def _theme(palette: str, is_dark: bool, colours: _Palette) -> Theme:
    """A theme whose texts have the palette's very colours: Textual would tint them towards the foreground."""
    return Theme(
        name=f"{palette}-{'dark' if is_dark else 'light'}",
        primary=colours.primary,
        secondary=colours.primary,
        accent=colours.accent,
        success=colours.success,
        warning=colours.warning,
        error=colours.error,
        foreground=colours.foreground,
        background=colours.background,
        surface=colours.surface,
        panel=colours.panel,
        dark=is_dark,
        variables={
            "text": colours.foreground,
            "text-muted": colours.muted,
            "foreground-muted": colours.muted,
            "text-primary": "#8cc2ff" if is_dark else "#0b4a86",
            "text-success": colours.success,
            "text-warning": colours.warning,
            "text-error": colours.error,
            "text-accent": colours.accent,
            "block-cursor-background": colours.primary,
            "block-cursor-foreground": "#ffffff" if is_dark else "#000000",
            "input-cursor-background": colours.foreground,
            "input-cursor-foreground": colours.background,
            "input-selection-background": f"{colours.primary} 60%",
        },
    )


_COLOURFGBG = re.compile(r"(?:^|;)(\d+)$")


def is_dark_by_environment(colorfgbg: str) -> bool:
    """Whether a terminal is dark by its ``COLORFGBG``, such as ``15;0``; dark if it says nothing."""
    found = _COLOURFGBG.search(colorfgbg)
    return found is None or int(found[1]) not in (7, *range(9, 16))


def is_dark_colour(reply: str) -> bool | None:
    """Whether the colour in a terminal's reply, ``rgb:1e1e/1e1e/1e1e``, is dark; None if it is no colour."""
    parts = re.fullmatch(r"rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})(?:/[0-9a-fA-F]{1,4})?", reply)
    if parts is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in parts.groups())
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)
