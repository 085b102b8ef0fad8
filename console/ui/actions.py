"""Registry of every key action; bindings, key bar, command palette and help are all drawn from it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from textual.binding import Binding, BindingType

ViewName = Literal["host", "runs", "live", "results", "items"]
Scope = Literal[
    "app",
    "host",
    "page",
    "runs",
    "live",
    "log",
    "search",
    "items",
    "table",
    "item_search",
    "item",
    "results",
    "confirm",
    "prompt",
    "answer",
    "steps",
    "change",
    "decide",
    "help",
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
        """The name of the method that does it: of the app for a call that begins with ``app.``."""
        return "action_" + self.call.removeprefix("app.").partition("(")[0]


_ABORT = Action(
    "abort", ("x",), "abort", "Abort the selected run and every process of it", destructive=True, changes_host=True
)
_SYNC_NOW = Action(
    "app.sync_now", ("s",), "sync now", "Pull runs that are damaged or not synced yet", short=("s", "sync")
)
_VERIFY = Action("app.verify", ("v",), "verify", "Hash the local copy again and compare with its manifests")
_PAGING = (
    Action("page_up", ("pageup",), "", "A page up"),
    Action("page_down", ("pagedown",), "", "A page down"),
    Action("scroll_home", ("home",), "", "To the beginning"),
    Action("scroll_end", ("end",), "", "To the end; follows the log again"),
)
_SCROLLING = (
    Action("scroll_up", ("up",), "", "A line up"),
    Action("scroll_down", ("down",), "", "A line down"),
    *_PAGING,
)
# By scope: a view, a part of one, or a dialog; ``app`` is everywhere, ``page`` is any long text.
_ACTIONS: dict[Scope, tuple[Action, ...]] = {
    "app": (
        *(
            Action(f"show_view('{name}')", (str(number),), "", f"Go to {title}")
            for number, (name, title) in enumerate(VIEWS, start=1)
        ),
        Action("help", ("question_mark", "f1"), "help", "Show every key"),
        Action("command_palette", ("ctrl+p",), "", "Search for an action by name"),
        Action("quit", ("q",), "quit", "Leave the console; runs continue on the host"),
        Action("interrupt", ("ctrl+c",), "", "Copy the selected text, or leave if none is selected", priority=True),
        Action(
            "take_over", ("t",), "", "Take the host's lease from another console", destructive=True, changes_host=True
        ),
    ),
    "host": (
        Action("app.check_again", ("p",), "check again", "Check again whether the host has what runs need"),
        Action("repair", ("e",), "repair", "Do what the selected check advises", changes_host=True),
        Action("app.reconnect", ("c",), "connect", "Connect now instead of waiting for the next retry"),
        Action("app.stop", ("escape",), "", "Stop verifying, or waiting for a repair, which continues"),
        Action("move_check(-1)", ("up",), "", "Select the check above"),
        Action("move_check(1)", ("down",), "", "Select the check below"),
        _SYNC_NOW,
        _VERIFY,
        *_PAGING,
    ),
    "runs": (
        Action("move(0,-1)", ("up",), "", "Select the run above"),
        Action("move(0,1)", ("down",), "", "Select the run below"),
        Action("move(-1,0)", ("left",), "", "Select the run to the left"),
        Action("move(1,0)", ("right",), "", "Select the run to the right"),
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
        Action("app.show_view('live')", ("enter",), "live", "Follow the selected run in view 3", short=("↵", "live")),
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
        _SYNC_NOW,
        _VERIFY,
    ),
    "live": (
        _ABORT,
        Action("select_run(-1)", ("left_square_bracket",), "", "Select the previous run"),
        Action("select_run(1)", ("right_square_bracket",), "run", "Select the next run", keys_label="[ ]"),
        Action("toggle_follow", ("f", "space"), "follow", "Follow the log, or pause it"),
        Action("search", ("slash",), "filter", "Only log lines with a text; !text leaves lines out"),
        Action("cycle_charts", ("c",), "charts", "Both charts, loss alone, development alone, or none"),
        Action("cycle_scores", ("d",), "", "Next development score: top-1, loss, coherence of each set"),
        Action("toggle_smooth", ("s",), "smooth", "Smooth the loss; the selected run's raw line stays"),
        Action("toggle_log_scale", ("g",), "log scale", "Loss on a logarithmic scale", short=("g", "log")),
        Action("toggle_markers", ("m",), "markers", "Draw curves as blocks or as letters", short=("m", "marks")),
        Action("clear_search", ("escape",), "", "Show every log line again"),
    ),
    "search": (Action("submit", ("enter",), "", "Keep the filter and go back to the log"),),
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
        Action("select_pair(-1)", ("left_square_bracket",), "", "Compare the previous pair of conditions"),
        Action(
            "select_pair(1)", ("right_square_bracket",), "pair", "Compare the next pair of conditions", keys_label="[ ]"
        ),
        Action("toggle_basis", ("b",), "", "Fixed and broken by majority of seeds, or by mean margin"),
        Action("cycle_facet('kind')", ("k",), "", "Next kind of item: retrieval, coherence, any"),
        Action("cycle_facet('tier')", ("T",), "", "Next tier"),
        Action("cycle_facet('reason')", ("r",), "", "Next reason code of killers"),
        Action("cycle_facet('pos')", ("p",), "", "Next part of speech"),
        Action("cycle_facet('item_class')", ("c",), "", "Next class of items, by what they can tell"),
        Action("cycle_wrong_in", ("w",), "", "Items wrong in some run, then by majority in each condition"),
        Action("cycle_order", ("o",), "order", "Order by the next column"),
        Action("reverse_order", ("O",), "reverse", "Reverse the order", short=("O", "rev")),
        Action("toggle_marks", ("m",), "marks", "Draw outcomes as shapes or in ASCII"),
        Action("scroll_conditions(-1)", ("left",), "", "Conditions further to the left"),
        Action("scroll_conditions(1)", ("right",), "", "Conditions further to the right"),
        Action("clear_filters", ("escape",), "", "Show every item again"),
    ),
    "item_search": (Action("submit", ("enter",), "", "Keep the filter and go back to the items"),),
    "item": (
        Action("select_run(-1)", ("left_square_bracket",), "", "The item under the previous run"),
        Action("select_run(1)", ("right_square_bracket",), "run", "The item under the next run", keys_label="[ ]"),
        Action("select_item(-1)", ("left",), "", "The previous item of the list"),
        Action("select_item(1)", ("right",), "item", "The next item of the list", keys_label="Left Right"),
        Action("close", ("escape", "enter", "q"), "back", "Back to the list of items"),
    ),
    "results": (
        Action("jump(-1)", ("left_square_bracket",), "", "To the previous section"),
        Action("jump(1)", ("right_square_bracket",), "section", "To the next section", keys_label="[ ]"),
        Action("next_step", ("n", "enter"), "next step", "Choose the next step, and launch what it changes"),
        Action("decide", ("D",), "decide", "Record a decision on these results"),
        *_SCROLLING,
    ),
    "table": (
        Action("cursor_up", ("up",), "", "Select the item above"),
        Action("cursor_down", ("down",), "", "Select the item below"),
        Action("page_up", ("pageup",), "", "A page of items up"),
        Action("page_down", ("pagedown",), "", "A page of items down"),
        Action("scroll_top", ("home",), "", "The first item"),
        Action("scroll_bottom", ("end",), "", "The last item"),
    ),
    "page": _SCROLLING,
    "log": (
        *_SCROLLING,
        Action("scroll_left", ("left",), "", "To the left of long lines"),
        Action("scroll_right", ("right",), "", "To the right of long lines"),
    ),
    "confirm": (
        Action("confirm", ("y",), "yes", "Do it"),
        Action("cancel", ("n", "escape"), "no", "Leave everything as it is"),
    ),
    "prompt": (
        Action("refuse", ("escape",), "", "Refuse to answer"),
        Action("scroll_text(-1)", ("up", "pageup"), "", "The text above"),
        Action("scroll_text(1)", ("down", "pagedown"), "", "The text below"),
    ),
    "answer": (Action("submit", ("enter",), "", "Give the answer"),),
    "steps": (
        Action("move(-1)", ("up",), "", "The step above"),
        Action("move(1)", ("down",), "", "The step below"),
        Action("scroll_text(-1)", ("pageup",), "", "The evidence above"),
        Action("scroll_text(1)", ("pagedown",), "", "The evidence below"),
        Action("choose", ("enter",), "", "Open the change that the step means"),
        Action("close", ("escape",), "", "Leave everything as it is"),
    ),
    "change": (
        Action("add", ("ctrl+s",), "", "Add the condition or seeds, and launch them"),
        Action("next_change", ("ctrl+t",), "", "The same change of the next condition"),
        Action("cancel", ("escape",), "", "Add nothing"),
    ),
    "decide": (
        Action("move(-1)", ("up",), "", "The decision above"),
        Action("move(1)", ("down",), "", "The decision below"),
        Action("cancel", ("escape",), "", "Record nothing"),
    ),
    "help": (Action("close", ("escape", "q", "question_mark", "f1"), "", "Close the help"),),
}
ACTIONS = tuple(dict.fromkeys(action for actions in _ACTIONS.values() for action in actions))

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
    return _ACTIONS[scope]


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
