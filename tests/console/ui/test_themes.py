"""The themes: every text stands out from every background, the choice of one, and what a terminal says of itself."""

from __future__ import annotations

from itertools import product

import pytest
from textual.color import Color
from textual.theme import Theme

from console.ui.themes import is_dark_by_environment, is_dark_colour, theme_name, themes
from console.user_settings import ThemeChoice

TEXTS = ("foreground", "text", "text-muted", "foreground-muted")
COLOURED = ("text-primary", "text-success", "text-warning", "text-error", "text-accent", "accent")


def contrast(one: Color, other: Color) -> float:
    """Contrast ratio of two colours by WCAG 2.2: 1 to 21."""
    lights = sorted(map(luminance, (one, other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: Color) -> float:
    """Relative luminance, 0 to 1."""
    parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", themes(), ids=lambda theme: theme.name)
def test_texts_have_the_contrast_that_reading_needs_on_every_background(theme: Theme) -> None:
    colours = {**theme.to_color_system().generate(), **theme.variables}
    least = 7.0 if theme.name.startswith("high-contrast") else 4.5
    for text, below in product((*TEXTS, *COLOURED), ("background", "surface", "panel")):
        found = contrast(Color.parse(colours[text]), Color.parse(colours[below]))
        assert found >= least, f"{text} on {below}: {found:.2f}"
    cursor = Color.parse(colours["block-cursor-foreground"]), Color.parse(colours["block-cursor-background"])
    assert contrast(*cursor) >= least


def test_good_and_bad_differ_in_light_or_in_blue_for_the_colour_blind() -> None:
    """Red and green cones see alike to them; blue and lightness remain."""
    for theme in themes():
        if theme.name.startswith("colour-blind"):
            good, bad = Color.parse(theme.success or ""), Color.parse(theme.error or "")
            assert good.b - bad.b > 80


@pytest.mark.parametrize(
    ("choice", "is_dark", "name"),
    [
        ("auto", True, "normal-dark"),
        ("auto", False, "normal-light"),
        ("dark", False, "normal-dark"),
        ("light", True, "normal-light"),
        ("high-contrast", False, "high-contrast-light"),
        ("high-contrast-dark", False, "high-contrast-dark"),
        ("colour-blind", True, "colour-blind-dark"),
        ("colour-blind-light", True, "colour-blind-light"),
    ],
)
def test_a_choice_goes_before_what_the_terminal_is(choice: ThemeChoice, is_dark: bool, name: str) -> None:
    assert theme_name(choice, is_dark) == name
    assert name in {theme.name for theme in themes()}


@pytest.mark.parametrize(
    ("value", "is_dark"),
    [("", True), ("15;0", True), ("0;15", False), ("0;default;15", False), ("7;8", True), ("0;7", False), ("x", True)],
)
def test_the_environment_tells_a_light_terminal(value: str, is_dark: bool) -> None:
    assert is_dark_by_environment(value) is is_dark


@pytest.mark.parametrize(
    ("reply", "is_dark"),
    [
        ("rgb:1e1e/1e1e/1e1e", True),
        ("rgb:ffff/ffff/ffff", False),
        ("rgb:fd/f6/e3", False),
        ("rgba:0000/2b2b/3636/ffff", True),
        ("rgb:xx/00/00", None),
        ("", None),
    ],
)
def test_a_terminal_s_reply_tells_how_light_its_background_is(reply: str, is_dark: bool | None) -> None:
    assert is_dark_colour(reply) is is_dark
