"""The registry: every key it names does what it says, and no key is bound past it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest
from textual.dom import DOMNode

from console import ui
from console.ui.actions import ACTIONS, TOGETHER, VIEW_SCOPES, VIEWS, Scope, actions_in, bindings, key_of, move_keys
from console.ui.app import ConsoleApp
from console.ui.bars import KeyBar
from console.ui.dialogs import AnswerInput, ConfirmDialog, HelpScreen, PromptDialog, help_text
from console.ui.host.pane import HostPane
from console.ui.items.detail import ItemScreen
from console.ui.items.filter_dialog import FilterDialog
from console.ui.items.item_list import ItemList
from console.ui.items.pane import ItemSearch, ItemsPane
from console.ui.launch.fields import ConditionList, SettingsInput
from console.ui.launch.form import LaunchForm
from console.ui.launch.switch_dialog import ChoiceList, SwitchDialog
from console.ui.live.chart_panel import ChartPanel
from console.ui.live.log_panel import LogPanel, LogSearchInput
from console.ui.live.pane import LivePane
from console.ui.main_screen import MainScreen
from console.ui.palette import commands
from console.ui.pane import ScrollPage
from console.ui.results.decision import DecisionDialog
from console.ui.results.next_step import ChangeDialog, NextStepsDialog
from console.ui.results.pane import ResultsPane
from console.ui.runs.pane import RunsPane
from console.ui.runs.warnings import WarningsDialog
from console.ui.sharing import CopyDialog, ExportDialog
from tests.console.ui.driving import LARGE, SMALL, console, screen, until, until_shown
from tests.console.ui.fake_session import FakeSession

OWNERS: dict[Scope, type[DOMNode]] = {
    "app": ConsoleApp,
    "replay": MainScreen,
    "host": HostPane,
    "page": ScrollPage,
    "runs": RunsPane,
    "live": LivePane,
    "chart": ChartPanel,
    "log": LogPanel,
    "search": LogSearchInput,
    "results": ResultsPane,
    "items": ItemsPane,
    "table": ItemList,
    "item_search": ItemSearch,
    "filters": FilterDialog,
    "item": ItemScreen,
    "confirm": ConfirmDialog,
    "prompt": PromptDialog,
    "answer": AnswerInput,
    "steps": NextStepsDialog,
    "change": ChangeDialog,
    "decide": DecisionDialog,
    "launch": LaunchForm,
    "conditions": ConditionList,
    "settings": SettingsInput,
    "switch": SwitchDialog,
    "choices": ChoiceList,
    "warnings": WarningsDialog,
    "copying": CopyDialog,
    "exporting": ExportDialog,
    "help": HelpScreen,
}
# What is pressed in a dialog is written on it, and nothing under it can be reached meanwhile.
DIALOGS: tuple[Scope, ...] = (
    "confirm",
    "prompt",
    "answer",
    "steps",
    "change",
    "decide",
    "filters",
    "launch",
    "conditions",
    "settings",
    "switch",
    "choices",
    "item",
    "warnings",
    "copying",
    "exporting",
    "help",
)
# As every pager has it: the next match in the log. Elsewhere what is new: the launch form, the next step. Neither launches.
# A replay is paused as the log of a run that goes on is.
TWO_MEANINGS = {"n": {"next_step", "new_runs", "next_match"}, "space": {"toggle_follow", "replay_pause"}}


@pytest.mark.parametrize("scope", OWNERS)
def test_every_action_has_its_method_where_it_works(scope: Scope) -> None:
    assert actions_in(scope)
    for action in actions_in(scope):
        owner = ConsoleApp if action.call.startswith("app.") else OWNERS[scope]
        assert callable(getattr(owner, action.method, None)), action


@pytest.mark.parametrize("scope", OWNERS)
def test_every_owner_is_bound_from_the_registry(scope: Scope) -> None:
    assert vars(OWNERS[scope])["BINDINGS"] == bindings(scope)


@pytest.mark.parametrize("scopes", TOGETHER)
def test_no_key_means_two_things_at_once(scopes: tuple[Scope, ...]) -> None:
    keys = [key for scope in scopes for action in actions_in(scope) for key in action.keys]
    assert sorted(set(keys)) == sorted(keys)


def test_what_launches_aborts_or_replaces_has_keys_that_mean_nothing_else_anywhere() -> None:
    reserved = {key: action.id for action in ACTIONS if action.is_reserved for key in action.keys}
    assert {"a", "l", "L", "x", "X", "r", "u", "T"} <= set(reserved)
    for action in ACTIONS:
        for key in action.keys:
            assert reserved.get(key, action.id) == action.id, f"{key} also does {action.id}"


def test_a_letter_means_one_thing_over_all_views() -> None:
    meanings: dict[str, set[str]] = {}
    for scope in OWNERS:
        if scope not in DIALOGS:
            for action in actions_in(scope):
                for key in action.keys:
                    meanings.setdefault(key, set()).add(action.id)
    letters = {key: ids for key, ids in meanings.items() if key not in ("enter", "escape")}
    assert {key: ids for key, ids in letters.items() if len(ids) > 1 and TWO_MEANINGS.get(key) != ids} == {}


def test_every_action_has_an_id_of_its_own_in_its_scope_and_one_id_has_the_same_keys_everywhere() -> None:
    keys: dict[str, tuple[str, ...]] = {}
    for scope in OWNERS:
        ids = [action.id for action in actions_in(scope)]
        assert len(set(ids)) == len(ids), scope
        for action in actions_in(scope):
            assert re.fullmatch("[a-z_0-9]+", action.id)
            assert keys.setdefault(action.id, action.keys) == action.keys, action


def test_a_moved_action_is_on_its_new_key_in_texts_and_key_bar_and_back_again() -> None:
    try:
        move_keys({"launch": ("ctrl+l",), "abort": ("delete", "x")})
        assert (key_of("launch"), key_of("abort"), key_of("launch_all")) == ("Ctrl+L", "Del", "a")
        assert next(one for one in actions_in("live") if one.id == "abort").keys == ("delete", "x")
        shown = [one.short or (one.keys_shown, one.label) for one in actions_in("runs")]
        assert ("a", "all") in shown and ("Ctrl+L", "launch/resume") in shown and ("s", "sync") in shown
    finally:
        move_keys({})
    assert key_of("launch") == "l" and actions_in("runs")[4].short == ("a l L", "launch")


def test_what_destroys_is_never_confirmed_by_its_own_key() -> None:
    yes = {key for action in actions_in("confirm") if action.method == "action_confirm" for key in action.keys}
    asking = {action for action in ACTIONS if action.destructive or action.method in ("action_quit", "action_repair")}
    askers = {key for action in asking for key in action.keys}
    assert askers
    assert not yes & (askers | {"enter", "space", "escape"})


def test_every_action_explains_itself() -> None:
    for action in ACTIONS:
        assert action.help
        assert action.keys


def test_no_class_of_the_ui_handles_keys_by_itself() -> None:
    owners = set(OWNERS.values())
    for module in pkgutil.walk_packages(ui.__path__, "console.ui."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind.__module__ != module.name:
                continue
            own = vars(kind)
            assert "BINDINGS" not in own or kind in owners, f"{name} binds keys past the registry"
            by_hand = [key for key in own if key.startswith("key_") or key in ("on_key", "_on_key")]
            # the main screen hands the view a key that was pressed before the view had the focus
            assert not by_hand or kind is MainScreen, f"{name} handles keys by hand: {by_hand}"


@pytest.mark.parametrize(("key", "view"), [(str(place), name) for place, (name, _) in enumerate(VIEWS, start=1)])
async def test_in_each_view_the_keys_of_the_registry_are_active_and_no_others(key: str, view: str) -> None:
    inner: dict[str, tuple[Scope, ...]] = {
        "host": ("host",),
        "runs": ("runs",),
        "live": ("live", "log"),
        "results": ("results",),
        "items": ("items", "table"),
    }
    scopes: tuple[Scope, ...] = ("app", *inner[view])
    known = {(key, action.call) for scope in scopes for action in actions_in(scope) for key in action.keys}
    async with console(FakeSession()) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: pilot.app.screen.query(f"#{view}"))
        await pilot.pause()
        active = {(key, found.binding.action) for key, found in pilot.app.screen.active_bindings.items()}
        assert active == known


@pytest.mark.parametrize("size", [SMALL, LARGE])
async def test_the_footer_shows_the_keys_of_the_view(size: tuple[int, int]) -> None:
    async with console(FakeSession(), size) as pilot:
        last = screen(pilot).splitlines()[-1].strip()
        assert last == "a l L launch x abort X all ↵ live r restart n new s sync v verify ? help q quit"
        await pilot.press("3")
        whole = await until_shown(pilot, "x abort", "[ ] run", "m metric", "b mean", "f follow", "/ search", "? help")
        assert ("z layout" in whole) == (size == LARGE)
        await pilot.press("1")
        await until_shown(pilot, "p check again  Enter repair  R connect  s sync now  v verify  ? help  q quit")


async def test_at_80_columns_no_footer_leaves_out_a_key_that_has_a_label() -> None:
    async with console(FakeSession()) as pilot:
        line = pilot.app.screen.query_one(KeyBar)
        for scope in ("runs", "live", "host", "results", "items", "page"):
            line.scope = scope
            words = line.render().plain.split()
            for action in (*actions_in(line.scope), *actions_in("app")):
                if action.label:
                    keys, label = action.short or (action.keys_shown, action.label)
                    assert {*keys.split(), *label.split()} <= set(words), action


async def test_a_footer_without_room_keeps_what_is_used_most_and_the_ways_out() -> None:
    async with console(FakeSession(), (50, 24)) as pilot:
        assert screen(pilot).splitlines()[-1].strip() == "a l L launch x abort X all ↵ live ? help q quit"


async def test_a_key_pressed_before_the_view_has_the_focus_acts_once_in_the_view() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        main = pilot.app.screen
        assert isinstance(main, MainScreen)
        runs = list(session.snapshot.runs)
        main.set_focus(None)
        await pilot.press("down", "right")
        await until(pilot, lambda: main.selected == runs[4])
        assert main.focused is main.pane


async def test_help_lists_every_action_and_escape_leaves_it() -> None:
    text = help_text("runs", 100).plain
    assert [action for action in ACTIONS if f"  {action.help}" not in text or action.id not in text] == []
    assert all(len(line) <= 76 for line in help_text("runs", 76).plain.splitlines())
    async with console(FakeSession()) as pilot:
        for view, title in (("2", "Runs"), ("5", "Items")):
            await pilot.press(view)
            await until_shown(pilot, f">{view} {title}<")
            await pilot.press("question_mark")
            await until_shown(pilot, "Esc closes")
            assert screen(pilot).splitlines()[2].strip("│ ") == title
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("f1")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))


async def test_the_palette_has_every_action_of_every_view_likely_ones_first_and_what_destroys_last() -> None:
    async with console(FakeSession(), LARGE) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        offered = commands(app)
        for scopes in (("app",), *VIEW_SCOPES.values()):
            for action in (action for scope in scopes for action in actions_in(scope)):
                titles = [one.title for one in offered if one.title.endswith(action.help)]
                assert titles or action.id == "command_palette", action
        assert [one.title for one in offered[:2]] == [one.help for one in actions_in("runs") if one.label][:2]
        first_destructive = next(at for at, one in enumerate(offered) if one.destructive)
        assert all(one.destructive for one in offered[first_destructive:])
        assert {"Abort every queued and running run"} <= {one.title for one in offered[first_destructive:]}


async def test_the_palette_carries_out_an_action_of_this_view_and_of_another() -> None:
    session = FakeSession()
    async with console(session, LARGE) as pilot:
        await pilot.press("ctrl+p")
        await until_shown(pilot, "Search for commands", "Launch every run of the profile")
        await pilot.press(*"every run of")
        await until(pilot, lambda: "Go to Live" not in screen(pilot))
        await pilot.press("down", "enter")
        await until(pilot, lambda: session.launched)
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        title = "Live: Logarithmic scale of the selected chart"
        await next(one for one in commands(app) if one.title == title).run()  # type: ignore[misc]
        await until_shown(pilot, ">3 Live<", "smooth 0.90, log")


async def test_a_click_in_the_key_bar_does_what_stands_there() -> None:
    session = FakeSession()
    async with console(session) as pilot:
        line = screen(pilot).splitlines()[-1]
        assert "a l L launch" in line
        await pilot.click(KeyBar, offset=(line.index("launch") + 2, 0))  # beside three keys: of none of them
        await pilot.click(KeyBar, offset=(line.index("a l L launch") + 2, 0))
        await until(pilot, lambda: session.launched)
        assert [plan.launch for plan in session.launched] == [(next(iter(session.snapshot.runs)),)]
        await pilot.click(KeyBar, offset=(line.index("? help") + 3, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, HelpScreen))
        await pilot.click(KeyBar, offset=(line.index("live"), 0))
        await until_shown(pilot, ">3 Live<")


@pytest.mark.parametrize(("word", "title"), [("export", "Export the table"), ("take over", "Take the host's lease")])
async def test_the_palette_finds_an_action_by_its_title_and_by_its_name_in_keys_toml(word: str, title: str) -> None:
    async with console(FakeSession(), LARGE) as pilot:
        await pilot.press("ctrl+p")
        await until_shown(pilot, "Search for commands", "Launch every run of the profile")
        await pilot.press(*(key if key != " " else "space" for key in word))
        await until(pilot, lambda: "Launch every run" not in screen(pilot) and title in screen(pilot), title)
