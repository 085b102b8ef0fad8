"""Cards of runs: lines that stay the same are not drawn again, and every line is what Textual would draw."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.strip import Strip
from textual.widget import Widget

from console.ui.runs.cards import RunCard
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, console, until
from tests.console.ui.fake_session import FakeSession
from tests.console.ui.scenes import training, view_of

RUN = RunId("A", 42)


async def test_a_card_draws_the_lines_that_changed_alone_and_as_textual_would(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    view = view_of(RUN, "running", training(10))
    session.show(view)
    async with console(session, LARGE) as pilot:
        card = pilot.app.screen.query_one("#cell-A-42", RunCard)
        await until(pilot, lambda: "ETA" in str(card.render()), "training")
        lines: list[int] = []
        render_line = RunCard.render_line

        def noted(self: RunCard, y: int) -> Strip:
            if self is card:
                lines.append(y)
            return render_line(self, y)

        for y in range(3):
            assert list(card.render_line(y)) == list(Widget.render_line(card, y))  # text, styles and offsets
        monkeypatch.setattr(RunCard, "render_line", noted)
        assert view.state is not None
        session.show(replace(view, state=replace(view.state, reason="stopped by a signal")))
        await until(pilot, lambda: "stopped" in str(card.render()) and bool(lines), "the remark")
        assert lines == [2]
