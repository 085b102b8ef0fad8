"""Keys that arrive together, as those of a held key over a slow link do, each count as if they had come one by one."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from console.ui.actions import VIEW_SCOPES, VIEWS, Scope, ViewName, actions_in
from console.ui.app import ConsoleApp
from engine.contract.settings import RunId
from tests.console.ui.driving import LARGE, SMALL, console, until, until_shown
from tests.console.ui.test_views import SHOWN_ONCE_COMPLETE, busy_session

_TIMES = 2
_MOVES = ("up", "down", "left", "right", "page_up", "page_down", "previous", "next", "next_chart", "previous_chart")
_MIDDLE = RunId("B", 123)


def _app(pilot: Pilot[None]) -> ConsoleApp:
    assert isinstance(pilot.app, ConsoleApp)
    return pilot.app


def _place(pilot: Pilot[None]) -> object:
    """Where the operator is: the selected run, what has the focus, how far everything is scrolled."""
    widgets = _app(pilot).screen.walk_children(Widget)
    scrolled = tuple((str(one), one.scroll_offset) for one in widgets if one.scroll_offset)
    return _app(pilot).main.selected, str(_app(pilot).screen.focused), scrolled


async def _settled(pilot: Pilot[None]) -> object:
    """The place once it does not change any more."""
    seen, same = _place(pilot), 0
    while same < 3:
        await pilot.pause()
        now = _place(pilot)
        seen, same = now, same + 1 if now == seen else 0
    return seen


async def _begin(pilot: Pilot[None], key: str) -> None:
    """Go to a place from which ``key`` can go on twice."""
    app = _app(pilot)
    app.main.selected = _MIDDLE
    for one in app.screen.walk_children(Widget):
        one.scroll_to(0, one.max_scroll_y if key in ("up", "pageup") else 0, animate=False, immediate=True)
    app.main.pane.focus_content()
    await _settled(pilot)


async def _compare(pilot: Pilot[None], keys: tuple[str, ...]) -> None:
    for key in keys:
        await _begin(pilot, key)
        for _ in range(_TIMES):
            await pilot.press(key)
            one_by_one = await _settled(pilot)
        await _begin(pilot, key)
        for _ in range(_TIMES):
            _app(pilot).simulate_key(key)
        assert await _settled(pilot) == one_by_one, key


def _keys(*scopes: Scope) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.keys[0] for scope in scopes for one in actions_in(scope) if one.id in _MOVES))


@pytest.mark.parametrize("view", ["runs", "live", "results", "items"])
async def test_keys_of_a_view_that_arrive_together_move_as_far_as_one_by_one(view: ViewName) -> None:
    number = str(1 + [name for name, _ in VIEWS].index(view))
    async with console(busy_session(), LARGE if view == "live" else SMALL) as pilot:
        await pilot.press(number)
        await until_shown(pilot, *SHOWN_ONCE_COMPLETE[number])
        await until(pilot, lambda: _app(pilot).screen.focused in _app(pilot).main.pane.walk_children(with_self=True))
        await _compare(pilot, _keys(*VIEW_SCOPES[view]))


async def test_keys_that_arrive_together_scroll_the_help_as_far_as_one_by_one() -> None:
    async with console(busy_session()) as pilot:
        await pilot.press("question_mark")
        await until_shown(pilot, "Select the run above")
        app = _app(pilot)
        page = app.screen.query_one("#help")
        for key, wanted in (("down", 2), ("pagedown", 2 * page.scrollable_content_region.height)):
            for one in ("home", key, key):
                app.simulate_key(one)
            await _settled(pilot)
            assert page.scroll_offset.y == wanted
        for one in ("end", "up", "up"):
            app.simulate_key(one)
        await _settled(pilot)
        assert page.scroll_offset.y == page.max_scroll_y - 2


async def test_keys_that_arrive_with_the_number_of_a_view_are_of_that_view() -> None:
    async with console(busy_session()) as pilot:
        await until_shown(pilot, *SHOWN_ONCE_COMPLETE["2"])
        for key in ("3", "b", "right_square_bracket", "2", "down", "3", "m"):
            _app(pilot).simulate_key(key)
        await until_shown(pilot, ">3 Live<", "dev top-1 %", "mean ±sd", "B/123")


async def test_a_launch_that_arrives_with_arrows_before_it_is_of_the_run_that_they_lead_to() -> None:
    session = busy_session()
    async with console(session) as pilot:
        await until_shown(pilot, *SHOWN_ONCE_COMPLETE["2"])
        app = _app(pilot)
        app.main.selected = RunId("A", 42)
        await _settled(pilot)
        for key in ("down", "down", "right", "right", "l"):
            app.simulate_key(key)
        await until(pilot, lambda: session.launched or app.screen_stack[1:], "a launch, or a question")
        assert app.main.selected == RunId("C", 456)
        assert [plan.launch for plan in session.launched] == [(RunId("C", 456),)]
