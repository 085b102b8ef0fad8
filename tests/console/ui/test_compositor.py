"""Layouts: every widget gets the Resize of its first size, whatever was drawn while it was being mounted."""

from __future__ import annotations

import asyncio

from textual.geometry import Size
from textual.widget import Widget

from console.ui.app import ConsoleApp
from tests.console.ui.driving import console, until
from tests.console.ui.fake_session import FakeSession


class Fitted(Widget):
    """Widget that knows its size by Resize alone."""

    fitted = Size()

    def on_resize(self) -> None:
        self.fitted = self.size


class Slow(Widget):
    """Widget whose mounting takes until ``may_mount`` is set."""

    def __init__(self, may_mount: asyncio.Event) -> None:
        super().__init__()
        self._may_mount = may_mount

    async def on_mount(self) -> None:
        await self._may_mount.wait()


async def test_a_widget_that_is_drawn_before_its_siblings_are_mounted_gets_its_resize() -> None:
    async with console(FakeSession()) as pilot:
        app, may_mount = pilot.app, asyncio.Event()
        assert isinstance(app, ConsoleApp)
        widget = Fitted()
        app.main.mount(widget, Slow(may_mount))
        await until(pilot, lambda: widget.is_mounted)
        widget.refresh()
        await until(pilot, lambda: widget.region, "a region asked for before the layout")
        assert not widget.size, "the layout waits for the other widget"
        may_mount.set()
        await until(pilot, lambda: widget.size)
        await until(pilot, lambda: widget.fitted == widget.size)
