"""One action of the UI, and its keys as people read them."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ViewName = Literal["host", "runs", "live", "results", "items"]
Scope = Literal[
    "app",
    "replay",
    "host",
    "page",
    "runs",
    "live",
    "chart",
    "log",
    "search",
    "items",
    "table",
    "item_search",
    "filters",
    "item",
    "results",
    "confirm",
    "prompt",
    "answer",
    "steps",
    "change",
    "decide",
    "launch",
    "conditions",
    "settings",
    "switch",
    "choices",
    "warnings",
    "copying",
    "exporting",
    "help",
]

_LABELS = {
    "question_mark": "?",
    "exclamation_mark": "!",
    "slash": "/",
    "ampersand": "&",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "plus": "+",
    "minus": "-",
    "comma": ",",
    "full_stop": ".",
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
    "tab": "Tab",
    "shift+tab": "Shift+Tab",
    "backspace": "Backspace",
    "delete": "Del",
    "insert": "Ins",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}
_MODIFIERS = {"ctrl": "Ctrl", "alt": "Alt", "shift": "Shift"}


class Action(Struct, frozen=True):
    """One thing that a key does.

    Attributes:
        call: the method ``action_<name>`` with its arguments, as Textual writes it.
        keys: every key that does it, unless the operator moves them; the first is the one shown.
        label: for the key bar; empty keeps it out of the key bar.
        help: one line for the help screen and the palette.
        destructive: it can destroy something, so it asks first and its own key never answers.
        changes_host: it is off in read-only mode, and its keys mean nothing else in any view.
        asks_host: it needs a host, so it is off where there is none, as is what changes one.
        priority: it works whatever has the focus, even where text is typed.
        keys_label: the keys as the key bar shows them, where the first key alone says too little.
        short: keys and label in a narrow key bar, where they differ; empty where another action's label covers it.
        name: what it is called in ``keys.toml``; empty if by its method. Actions of one name are on the same keys.
    """

    call: str
    keys: tuple[str, ...]
    label: str
    help: str
    destructive: bool = False
    changes_host: bool = False
    asks_host: bool = False
    priority: bool = False
    keys_label: str = ""
    short: tuple[str, str] | None = None
    name: str = ""

    @property
    def id(self) -> str:
        """What it is called in ``keys.toml``, and what its keys mean in every view."""
        return self.name or self.call.removeprefix("app.").partition("(")[0]

    @property
    def keys_shown(self) -> str:
        """The keys for the key bar."""
        return self.keys_label or key_label(self.keys[0])

    @property
    def method(self) -> str:
        """The name of the method that does it: of the app for a call that begins with ``app.``."""
        return "action_" + self.call.removeprefix("app.").partition("(")[0]

    @property
    def is_reserved(self) -> bool:
        """Whether its keys mean nothing else anywhere: it launches, aborts or replaces, so that no slip may do it."""
        return self.destructive or (self.changes_host and self.keys != ("enter",))

    def is_on(self, *, read_only: bool, has_host: bool) -> bool:
        """Whether it can do anything on this host."""
        return not (self.changes_host and read_only) and (has_host or not (self.changes_host or self.asks_host))


def named_keys() -> dict[str, str]:
    """Textual's name of each key that has a name, by that name and by its label, in small letters."""
    return {name: key for key, label in _LABELS.items() for name in (key, label.lower())}


def key_label(key: str) -> str:
    """``key`` as printed on a keyboard: ``Ctrl+P``, ``?``, ``PgUp``."""
    if key in _LABELS:
        return _LABELS[key]
    *modifiers, last = key.split("+")
    if not modifiers:
        return key
    return "+".join([*(_MODIFIERS.get(one, one) for one in modifiers), _LABELS.get(last, last.upper())])
