"""Layouts: every widget gets the Resize of its size, whatever was drawn between two layouts."""

from __future__ import annotations

import asyncio

from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

from console.ui.app import ConsoleApp
from tests.console.ui.driving import DEADLINE_S, console, until
from tests.console.ui.fake_session import FakeSession


class Fitted(Widget):
    """Widget that knows its size by Resize alone."""

    DEFAULT_CSS = "Fitted { height: 2; }"
    fitted = Size()

    def on_resize(self) -> None:
        self.fitted = self.size


async def know_region(screen: Screen[None], widget: Widget) -> None:
    """Have the compositor know the region of ``widget`` as early as it can, as drawing does, which may precede the layout."""
    async with asyncio.timeout(DEADLINE_S):
        while not widget.region:
            await asyncio.sleep(0)
            screen._compositor.update_widgets({widget})


async def test_a_widget_whose_region_is_known_before_its_layout_gets_its_resize() -> None:
    async with console(FakeSession()) as pilot:
        await pilot.pause()
        app, first, second = pilot.app, Fitted(), Fitted()
        assert isinstance(app, ConsoleApp)
        app.main.mount(first)
        await know_region(app.main, first)
        assert not first.outer_size, "no layout yet"
        await until(pilot, lambda: first.outer_size)
        await until(pilot, lambda: first.fitted == first.size)

        app.main.mount(second)
        first.styles.height = 3
        await know_region(app.main, second)
        assert first.region.height == 3 and first.outer_size.height == 2, "no layout yet"
        await until(pilot, lambda: first.outer_size.height == 3)
        await until(pilot, lambda: first.fitted == first.size and second.fitted == second.size != Size())
