"""Registry of every key action; bindings, key bar, command palette and help are all drawn from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from textual.binding import Binding, BindingType

ViewName = Literal["host", "runs", "live", "results", "items"]
Scope = Literal[
    "app", "host", "page", "runs", "live", "log", "search", "items", "table", "confirm", "prompt", "answer", "help"
]

VIEWS: tuple[tuple[ViewName, str], ...] = (
    ("host", "Host"),
    ("runs", "Runs"),
    ("live", "Live"),
    ("results", "Results"),
    ("items", "Items"),
)


class Action(Struct, frozen=True):
    """One thing that a key does.

    Attributes:
        call: the method ``action_<name>`` with its arguments, as Textual writes it.
        keys: every key that does it; the first is the one shown.
        label: for the key bar; empty keeps it out of the key bar.
        help: one line for the help screen and the palette.
        scopes: where it works: a view, a part of one, or a dialog; ``app`` is everywhere, ``page`` is any long text.
        destructive: it can destroy something, so it asks first and its own key never answers.
        changes_host: it is off in read-only mode.
        priority: it works whatever has the focus, even where text is typed.
        keys_label: the keys as the key bar shows them, where the first key alone says too little.
        short: keys and label in a narrow key bar, where they differ; empty where another action's label covers it.
    """

    call: str
    keys: tuple[str, ...]
    label: str
    help: str
    scopes: tuple[Scope, ...]
    destructive: bool = False
    changes_host: bool = False
    priority: bool = False
    keys_label: str = ""
    short: tuple[str, str] | None = None

    @property
    def keys_shown(self) -> str:
        """The keys for the key bar."""
        return self.keys_label or key_label(self.keys[0])

    @property
    def method(self) -> str:
        """The name of the method that does it."""
        return "action_" + self.call.partition("(")[0]


ACTIONS: tuple[Action, ...] = (
    *(
        Action(f"show_view('{name}')", (str(number),), "", f"Go to {title}", ("app",))
        for number, (name, title) in enumerate(VIEWS, start=1)
    ),
    Action("help", ("question_mark", "f1"), "help", "Show every key", ("app",)),
    Action("command_palette", ("ctrl+p",), "", "Search for an action by name", ("app",)),
    Action("quit", ("q",), "quit", "Leave the console; runs continue on the host", ("app",)),
    Action(
        "interrupt", ("ctrl+c",), "", "Copy the selected text, or leave if none is selected", ("app",), priority=True
    ),
    Action(
        "take_over",
        ("t",),
        "",
        "Take the host's lease from another console",
        ("app",),
        destructive=True,
        changes_host=True,
    ),
    # Host
    Action("check_again", ("p",), "check again", "Check again whether the host has what runs need", ("host",)),
    Action("repair", ("e",), "repair", "Do what the selected check advises", ("host",), changes_host=True),
    Action("reconnect", ("c",), "connect", "Connect now instead of waiting for the next retry", ("host",)),
    Action("stop", ("escape",), "", "Stop verifying, or waiting for a repair", ("host",)),
    Action("move_check(-1)", ("up",), "", "Select the check above", ("host",)),
    Action("move_check(1)", ("down",), "", "Select the check below", ("host",)),
    # Runs
    Action("move(0,-1)", ("up",), "", "Select the run above", ("runs",)),
    Action("move(0,1)", ("down",), "", "Select the run below", ("runs",)),
    Action("move(-1,0)", ("left",), "", "Select the run to the left", ("runs",)),
    Action("move(1,0)", ("right",), "", "Select the run to the right", ("runs",)),
    Action(
        "launch_all",
        ("a",),
        "all",
        "Launch every run of the profile",
        ("runs",),
        changes_host=True,
        short=("a l L", "launch"),
    ),
    Action(
        "launch",
        ("l",),
        "launch/resume",
        "Launch the selected run, or resume it from its checkpoint",
        ("runs",),
        changes_host=True,
        short=("", ""),
    ),
    Action(
        "abort",
        ("x",),
        "abort",
        "Abort the selected run and every process of it",
        ("runs", "live"),
        destructive=True,
        changes_host=True,
    ),
    Action(
        "abort_all",
        ("X",),
        "abort all",
        "Abort every queued and running run",
        ("runs",),
        destructive=True,
        changes_host=True,
        short=("X", "all"),
    ),
    Action("open_live", ("enter",), "live", "Follow the selected run in view 3", ("runs",), short=("↵", "live")),
    Action(
        "restart",
        ("r",),
        "restart",
        "Restart the selected run; its results are set aside",
        ("runs",),
        destructive=True,
        changes_host=True,
    ),
    Action(
        "launch_condition",
        ("L",),
        "condition",
        "Launch every seed of the selected condition",
        ("runs",),
        changes_host=True,
        short=("", ""),
    ),
    Action(
        "sync_now",
        ("s",),
        "sync now",
        "Pull runs that are damaged or not synced yet",
        ("host", "runs"),
        short=("s", "sync"),
    ),
    Action("verify", ("v",), "verify", "Hash the local copy again and compare with its manifests", ("host", "runs")),
    # Live
    Action("select_run(-1)", ("left_square_bracket",), "", "Select the previous run", ("live",)),
    Action("select_run(1)", ("right_square_bracket",), "run", "Select the next run", ("live",), keys_label="[ ]"),
    Action("toggle_follow", ("f", "space"), "follow", "Follow the log, or pause it", ("live",)),
    Action("search", ("slash",), "filter", "Only log lines with a text; !text leaves lines out", ("live",)),
    Action("cycle_charts", ("c",), "charts", "Both charts, loss alone, top-1 alone, or none", ("live",)),
    Action("toggle_smooth", ("s",), "smooth", "Smooth the loss; the selected run's raw line stays", ("live",)),
    Action("toggle_log_scale", ("g",), "log scale", "Loss on a logarithmic scale", ("live",), short=("g", "log")),
    Action("toggle_markers", ("m",), "markers", "Draw curves as blocks or as letters", ("live",), short=("m", "marks")),
    Action("clear_search", ("escape",), "", "Show every log line again", ("live",)),
    Action("submit", ("enter",), "", "Keep the filter and go back to the log", ("search",)),
    # Items
    Action("cycle_order", ("o",), "order", "Order by failures, margin, lemma or tier", ("items",)),
    Action("cursor_up", ("up",), "", "Select the item above", ("table",)),
    Action("cursor_down", ("down",), "", "Select the item below", ("table",)),
    Action("page_up", ("pageup",), "", "A page of items up", ("table",)),
    Action("page_down", ("pagedown",), "", "A page of items down", ("table",)),
    Action("scroll_top", ("home",), "", "The first item", ("table",)),
    Action("scroll_bottom", ("end",), "", "The last item", ("table",)),
    # Pages of text
    Action("scroll_up", ("up",), "", "A line up", ("page", "log")),
    Action("scroll_down", ("down",), "", "A line down", ("page", "log")),
    Action("page_up", ("pageup",), "", "A page up", ("page", "host", "log")),
    Action("page_down", ("pagedown",), "", "A page down", ("page", "host", "log")),
    Action("scroll_home", ("home",), "", "To the beginning", ("page", "host", "log")),
    Action("scroll_end", ("end",), "", "To the end; follows the log again", ("page", "host", "log")),
    Action("scroll_left", ("left",), "", "To the left of long lines", ("log",)),
    Action("scroll_right", ("right",), "", "To the right of long lines", ("log",)),
    # Dialogs
    Action("confirm", ("y",), "yes", "Do it", ("confirm",)),
    Action("cancel", ("n", "escape"), "no", "Leave everything as it is", ("confirm",)),
    Action("refuse", ("escape",), "", "Refuse to answer", ("prompt",)),
    Action("scroll_text(-1)", ("up", "pageup"), "", "The text above", ("prompt",)),
    Action("scroll_text(1)", ("down", "pagedown"), "", "The text below", ("prompt",)),
    Action("submit", ("enter",), "", "Give the answer", ("answer",)),
    Action("close", ("escape", "q", "question_mark", "f1"), "", "Close the help", ("help",)),
)

_KEY_LABELS = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "Esc",
    "enter": "Enter",
    "up": "Up",
    "down": "Down",
    "left": "Left",
    "right": "Right",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "space": "Space",
    "f1": "F1",
    "ctrl+c": "Ctrl+C",
    "ctrl+p": "Ctrl+P",
}


def actions_in(scope: Scope) -> tuple[Action, ...]:
    """The actions that work in ``scope``, in the order of the registry."""
    return tuple(action for action in ACTIONS if scope in action.scopes)


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings of ``scope``."""
    return [
        Binding(",".join(action.keys), action.call, action.help, show=bool(action.label), priority=action.priority)
        for action in actions_in(scope)
    ]


def key_label(key: str) -> str:
    """``key`` as printed on a keyboard."""
    return _KEY_LABELS.get(key, key)


def key_of(call: str) -> str:
    """The label of the key for the action ``call``, for texts that name a key."""
    return next(key_label(action.keys[0]) for action in ACTIONS if action.call == call)
