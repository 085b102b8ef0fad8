"""Registry of every key action; bindings, key bar, command palette and help are all drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from msgspec.structs import replace
from textual.binding import Binding, BindingType

from console.ui.action import Action, Scope, ViewName, key_label
from console.ui.dialog_actions import DIALOG_ACTIONS

__all__ = [
    "ACTIONS",
    "SCOPES",
    "TOGETHER",
    "VIEWS",
    "VIEW_SCOPES",
    "Scope",
    "ViewName",
    "actions_in",
    "actions_of_view",
    "bindings",
    "default_actions",
    "key_of",
    "move_keys",
    "scopes_of_view",
]
SCOPES: tuple[Scope, ...] = get_args(Scope)
VIEW_SCOPES: dict[ViewName, tuple[Scope, ...]] = {
    "host": ("host",),
    "runs": ("runs",),
    "live": ("live", "log"),
    "results": ("results",),
    "items": ("items", "table"),
}
"""The scopes of each view: its own, and those of the parts that have the focus in it."""
TOGETHER: tuple[tuple[Scope, ...], ...] = (
    ("app", "page"),
    *(("app", *scopes) for scopes in VIEW_SCOPES.values()),
    ("app", "live", "chart"),
    *(("app", "replay", *scopes) for view, scopes in VIEW_SCOPES.items() if view != "live"),
    ("app", "replay", "live", "chart"),
    ("item", "page"),
    ("help", "page"),
    ("prompt", "answer"),
    ("launch", "conditions"),
    ("launch", "settings"),
    *((scope,) for scope in SCOPES),
)
"""Scopes in which one key is looked for, so that it may mean one thing in all of them."""
VIEWS: tuple[tuple[ViewName, str], ...] = (
    ("host", "Host"),
    ("runs", "Runs"),
    ("live", "Live"),
    ("results", "Results"),
    ("items", "Items"),
)


_ABORT = Action(
    "abort", ("x",), "abort", "Abort the selected run and every process of it", destructive=True, changes_host=True
)
_SYNC_NOW = Action(
    "app.sync_now",
    ("s",),
    "sync now",
    "Pull runs that are damaged or not synced yet",
    asks_host=True,
    short=("s", "sync"),
)
_VERIFY = Action("app.verify", ("v",), "verify", "Hash the local copy again and compare with its manifests")
_CONNECT = Action(
    "app.reconnect", ("R",), "connect", "Connect now instead of waiting for the next retry", asks_host=True
)
_STOP = Action("app.stop", ("escape",), "", "Stop verifying, or waiting for a repair, which continues")
_PAGING = (
    Action("page_up", ("pageup",), "", "A page up"),
    Action("page_down", ("pagedown",), "", "A page down"),
    Action("scroll_home", ("home",), "", "To the beginning", name="home"),
    Action("scroll_end", ("end",), "", "To the end; follows the log again", name="end"),
)
_SCROLLING = (
    Action("scroll_up", ("up",), "", "A line up", name="up"),
    Action("scroll_down", ("down",), "", "A line down", name="down"),
    *_PAGING,
)
# By scope: a view, a part of one, or a dialog; ``app`` is everywhere, ``page`` is any long text.
_ACTIONS: dict[Scope, tuple[Action, ...]] = {
    "app": (
        *(
            Action(f"show_view('{name}')", (str(number),), "", f"Go to {title}", name=f"view_{name}")
            for number, (name, title) in enumerate(VIEWS, start=1)
        ),
        Action("help", ("question_mark", "f1"), "help", "Show every key"),
        Action("warnings", ("exclamation_mark",), "", "Show all warnings of all runs, with their meaning"),
        Action("switch", ("H",), "", "Open another host, profile or experiment; runs continue"),
        Action("command_palette", ("ctrl+p",), "", "Search for an action by name"),
        Action("quit", ("q",), "quit", "Leave the console; runs continue on the host"),
        Action("interrupt", ("ctrl+c",), "", "Copy the selected text, or leave if none is selected", priority=True),
        Action("copy", ("c",), "", "Copy the selected row, its run, or the equivalent command"),
        Action("export", ("ctrl+e",), "", "Export the table, the chart or the screen to a file"),
        Action("cycle_glyphs", ("G",), "", "Draw with braille, with blocks, or in ASCII", name="glyphs"),
        Action(
            "take_over", ("T",), "", "Take the host's lease from another console", destructive=True, changes_host=True
        ),
    ),
    "replay": (  # of the screen, before the log, whose key to pause this has
        Action("replay_pause", ("space",), "pause", "Replay: pause, or go on", priority=True),
        Action("replay_skip(-1)", ("comma",), "", "Replay: ten seconds back, at the present speed", name="replay_back"),
        Action(
            "replay_skip(1)",
            ("full_stop",),
            "back/on",
            "Replay: ten seconds on, at the present speed",
            keys_label=", .",
            name="replay_on",
        ),
        Action("replay_speed(-1)", ("left_curly_bracket",), "", "Replay: slower", name="replay_slower"),
        Action(
            "replay_speed(1)",
            ("right_curly_bracket",),
            "speed",
            "Replay: faster",
            keys_label="{ }",
            name="replay_faster",
        ),
    ),
    "host": (
        Action(
            "app.check_again", ("p",), "check again", "Check again whether the host has what runs need", asks_host=True
        ),
        Action("repair", ("enter",), "repair", "Do what the selected check advises", changes_host=True),
        _CONNECT,
        _STOP,
        Action("app.toggle_when_done", ("P",), "", "Run when_done once all is done, or do not", changes_host=True),
        Action("move_check(-1)", ("up",), "", "Select the check above", name="up"),
        Action("move_check(1)", ("down",), "", "Select the check below", name="down"),
        _SYNC_NOW,
        _VERIFY,
        *_PAGING,
    ),
    "runs": (
        Action("move(0,-1)", ("up",), "", "Select the run above", name="up"),
        Action("move(0,1)", ("down",), "", "Select the run below", name="down"),
        Action("move(-1,0)", ("left",), "", "Select the run to the left", name="left"),
        Action("move(1,0)", ("right",), "", "Select the run to the right", name="right"),
        Action(
            "launch_all", ("a",), "all", "Launch every run of the profile", changes_host=True, short=("a l L", "launch")
        ),
        Action(
            "launch",
            ("l",),
            "launch/resume",
            "Launch the selected run, or resume it from its checkpoint",
            changes_host=True,
            short=("", ""),
        ),
        _ABORT,
        Action(
            "abort_all",
            ("X",),
            "abort all",
            "Abort every queued and running run",
            destructive=True,
            changes_host=True,
            short=("X", "all"),
        ),
        Action(
            "app.show_view('live')",
            ("enter",),
            "live",
            "Follow the selected run in view 3",
            short=("↵", "live"),
            name="follow_run",
        ),
        Action(
            "restart",
            ("r",),
            "restart",
            "Restart the selected run; what it has is set aside",
            destructive=True,
            changes_host=True,
        ),
        Action(
            "restore",
            ("u",),
            "",
            "Bring back what a restart of the selected run set aside",
            destructive=True,
            changes_host=True,
        ),
        Action(
            "launch_condition",
            ("L",),
            "condition",
            "Launch every seed of the selected condition",
            changes_host=True,
            short=("", ""),
        ),
        Action(
            "new_runs",
            ("n",),
            "new runs",
            "New runs: conditions, seeds, epochs, any setting by name",
            asks_host=True,
            short=("n", "new"),
        ),
        _SYNC_NOW,
        _VERIFY,
        replace(_CONNECT, label=""),
        _STOP,
        Action("cycle_order", ("o",), "", "Order rows as planned, by top-1, coherence or warnings"),
        Action("reverse_order", ("O",), "", "Reverse the order of the rows"),
    ),
    "live": (
        _ABORT,
        Action("select_run(-1)", ("left_square_bracket",), "", "Select the previous run", name="previous"),
        Action("select_run(1)", ("right_square_bracket",), "run", "Select the next run", keys_label="[ ]", name="next"),
        Action("cycle_metric(1)", ("m",), "metric", "Next metric in the selected chart", name="next_metric"),
        Action("cycle_metric(-1)", ("M",), "", "Previous metric in the selected chart", name="previous_metric"),
        Action(
            "cycle_mode", ("b",), "mean", "Runs, mean of each condition with its band, or both", name="runs_or_mean"
        ),
        Action("cycle_spread", ("B",), "", "Band: standard deviation, or lowest to highest seed"),
        Action("cycle_layout", ("z",), "layout", "Charts and log, charts alone, or the log alone", short=("", "")),
        Action("toggle_full_screen", ("enter",), "full", "The selected chart alone, or all again", short=("", "")),
        Action(
            "select_chart(1)", ("tab",), "", "Select the next chart; behind the last one is the log", name="next_chart"
        ),
        Action("select_chart(-1)", ("shift+tab",), "", "Select the previous chart", name="previous_chart"),
        Action("cycle_x", ("t",), "", "The x axis: steps, epochs, or time of training"),
        Action("cycle_y", ("y",), "", "Y axis of the chart: automatic, without outliers, fixed"),
        Action("toggle_log_scale", ("g",), "", "Logarithmic scale of the selected chart"),
        Action("smooth(1)", ("w",), "", "Smooth the selected chart more", name="smoother"),
        Action("smooth(-1)", ("W",), "", "Smooth the selected chart less", name="rougher"),
        Action("zoom(1)", ("plus",), "", "Show half as much of the x axis, around the crosshair", name="zoom_in"),
        Action("zoom(-1)", ("minus",), "", "Show twice as much of the x axis", name="zoom_out"),
        Action("pan(-1)", ("less_than_sign",), "", "Move to the left on a zoomed x axis", name="pan_left"),
        Action("pan(1)", ("greater_than_sign",), "", "Move to the right on a zoomed x axis", name="pan_right"),
        Action("reset", ("0",), "", "All of the x axis, automatic y axis, no crosshair", name="reset_chart"),
    ),
    "chart": (
        Action("toggle_crosshair", ("i",), "", "Read the values of every chart at a crosshair", name="inspect"),
        Action("leave", ("escape",), "", "Leave the full screen, or the crosshair", name="leave_chart"),
        Action("move_crosshair(-1)", ("left",), "", "Move the crosshair to the left", name="left"),
        Action("move_crosshair(1)", ("right",), "", "Move the crosshair to the right", name="right"),
        Action("move_crosshair(-10)", ("pageup",), "", "Move the crosshair far to the left", name="page_up"),
        Action("move_crosshair(10)", ("pagedown",), "", "Move the crosshair far to the right", name="page_down"),
        Action("move_crosshair(-10000)", ("home",), "", "Move the crosshair to the left edge", name="home"),
        Action("move_crosshair(10000)", ("end",), "", "Move the crosshair to the right edge", name="end"),
    ),
    "items": (
        Action("open_item", ("enter",), "item", "The selected item in full: every candidate, attention"),
        Action("search", ("slash",), "filter", "Items with words in query, lemma or reason; !word: without"),
        Action(
            "cycle_change",
            ("d",),
            "fixed/broken",
            "Items that a condition fixed against another, then broke",
            short=("d", "fixed"),
        ),
        Action(
            "select_pair(-1)", ("left_square_bracket",), "", "Compare the previous pair of conditions", name="previous"
        ),
        Action(
            "select_pair(1)",
            ("right_square_bracket",),
            "pair",
            "Compare the next pair of conditions",
            keys_label="[ ]",
            name="next",
        ),
        Action("filters", ("F",), "filters", "Choose items by kind, tier, reason, class, wrong in"),
        Action("cycle_order", ("o",), "order", "Order by the next column"),
        Action("reverse_order", ("O",), "reverse", "Reverse the order", short=("O", "rev")),
        Action("scroll_conditions(-1)", ("left",), "", "Conditions further to the left", name="left"),
        Action("scroll_conditions(1)", ("right",), "", "Conditions further to the right", name="right"),
        Action("clear_filters", ("escape",), "", "Show every item again"),
    ),
    "results": (
        Action("jump(-1)", ("left_square_bracket",), "", "To the previous section", name="previous"),
        Action("jump(1)", ("right_square_bracket",), "section", "To the next section", keys_label="[ ]", name="next"),
        Action("next_step", ("n", "enter"), "next step", "Choose the next step, and launch what it changes"),
        Action("decide", ("D",), "decide", "Record a decision on these results"),
        *_SCROLLING,
    ),
    "table": (
        Action("cursor_up", ("up",), "", "Select the item above", name="up"),
        Action("cursor_down", ("down",), "", "Select the item below", name="down"),
        Action("page_up", ("pageup",), "", "A page of items up"),
        Action("page_down", ("pagedown",), "", "A page of items down"),
        Action("scroll_top", ("home",), "", "The first item", name="home"),
        Action("scroll_bottom", ("end",), "", "The last item", name="end"),
    ),
    "page": _SCROLLING,
    "log": (
        Action("toggle_follow", ("f", "space"), "follow", "Follow the log, or pause it"),
        Action("search", ("slash",), "search", "Search the log: text, !without, /regular expression/"),
        Action("next_match(1)", ("n",), "", "The next match of the search", name="next_match"),
        Action("next_match(-1)", ("N",), "", "The previous match of the search", name="previous_match"),
        Action("next_error(1)", ("e",), "error", "The next error in the log", keys_label="e E", name="next_error"),
        Action("next_error(-1)", ("E",), "", "The previous error in the log", name="previous_error"),
        Action(
            "choose_step",
            ("i",),
            "values",
            "Put the crosshair of the charts at the step of the line",
            short=("", ""),
            name="inspect",
        ),
        Action("toggle_filter", ("ampersand",), "", "Only the lines that match, or all with matches marked"),
        Action("toggle_fold", ("Z",), "", "Show progress as one row that changes, or each of its lines"),
        Action("clear_search", ("escape",), "", "Show every log line again"),
        *_SCROLLING,
        Action("scroll_left", ("left",), "", "To the left of long lines", name="left"),
        Action("scroll_right", ("right",), "", "To the right of long lines", name="right"),
    ),
    **DIALOG_ACTIONS,
}
ACTIONS = tuple(dict.fromkeys(action for actions in _ACTIONS.values() for action in actions))

_present: dict[Scope, tuple[Action, ...]] = dict(_ACTIONS)


def move_keys(moved: Mapping[str, tuple[str, ...]]) -> None:
    """Move actions to other keys, by id; all others are on their own keys again. What shows keys must be drawn again."""
    for scope, actions in _ACTIONS.items():
        is_moved = any(action.id in moved for action in actions)
        _present[scope] = tuple(_on_keys(action, moved.get(action.id)) for action in actions) if is_moved else actions


def _on_keys(action: Action, keys: tuple[str, ...] | None) -> Action:
    """``action`` in a scope where keys were moved: what was written for its own keys, or beside others', is left out."""
    if keys is not None:
        action = replace(action, keys=keys, keys_label="")
    if action.short is not None:
        one_key = action.short[0] and " " not in action.short[0]
        action = replace(action, short=(action.keys_shown, action.short[1]) if one_key else None)
    return action


def default_actions(scope: Scope) -> tuple[Action, ...]:
    """The actions that work in ``scope``, on the keys of the registry."""
    return _ACTIONS[scope]


def actions_in(scope: Scope) -> tuple[Action, ...]:
    """The actions that work in ``scope``, on the keys where they are now, in the order of the registry."""
    return _present[scope]


def actions_of_view(scope: Scope) -> tuple[Action, ...]:
    """The actions of a view, those of the part that has the focus when it is opened included."""
    return tuple(action for one in scopes_of_view(scope) for action in actions_in(one))


def scopes_of_view(scope: Scope) -> tuple[Scope, ...]:
    """The scopes of the view whose own is ``scope``, that first; ``scope`` alone if it is of no view."""
    return next((scopes for scopes in VIEW_SCOPES.values() if scopes[0] == scope), (scope,))


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings of ``scope``, on the keys of the registry; the app's keymap moves them by id."""
    return [
        Binding(
            ",".join(action.keys),
            action.call,
            action.help,
            show=bool(action.label),
            priority=action.priority,
            id=action.id,
        )
        for action in _ACTIONS[scope]
    ]


def key_of(call: str) -> str:
    """The label of the key for the action ``call``, for texts that name a key."""
    return next(key_label(action.keys[0]) for actions in _present.values() for action in actions if action.call == call)
