"""Every action of every view by each of its keys, with the focus that the view has, at both sizes."""

from __future__ import annotations

import pytest

from console.ui.actions import VIEW_SCOPES, VIEWS, actions_in
from console.ui.app import ConsoleApp
from tests.console.ui.driving import SIZES, console, until, until_shown
from tests.console.ui.test_views import SHOWN_ONCE_COMPLETE, busy_session


@SIZES
async def test_every_key_of_a_view_does_its_action(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    async with console(busy_session(), size) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        for key, (view, _) in enumerate(VIEWS, start=1):
            app.main.view = view
            await until_shown(pilot, *SHOWN_ONCE_COMPLETE[str(key)])
            await until(pilot, lambda: app.screen.focused in app.main.pane.walk_children(with_self=True), "focus")
            called: list[str] = []

            async def record(action: str, *_: object) -> bool:
                if action.startswith("replay"):
                    return False  # as these do without a replay, so that the view has their keys
                called.append(action)  # noqa: B023
                return True

            with monkeypatch.context() as patched:
                patched.setattr(app, "run_action", record)
                actions = [one for scope in ("app", *VIEW_SCOPES[view]) for one in actions_in(scope)]
                actions.sort(key=lambda one: not one.priority)  # as the app sees those before the focused widget
                wanted = [(pressed, one.call) for one in actions for pressed in one.keys]
                for pressed, _ in wanted:
                    app.simulate_key(pressed)
                await until(pilot, lambda: len(called) >= len(wanted), f"{wanted}\n{called}")  # noqa: B023
            assert called == [call for _, call in wanted]
