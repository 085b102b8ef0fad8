"""View 1 as a whole."""

from __future__ import annotations

from console.ui.host.pane import HostPane
from tests.console.ui.driving import console
from tests.console.ui.fake_session import FakeSession


async def test_the_view_can_be_updated_while_it_has_no_widgets() -> None:
    session = FakeSession()
    async with console(session):
        pane = HostPane(id="before-compose")
        pane.snapshot = session.snapshot
        pane.tick()
