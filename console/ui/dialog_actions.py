"""The actions of dialogs and input lines, whose keys act while they are open; part of the registry in ``actions``."""

from __future__ import annotations

from console.ui.action import Action, Scope

_FIELDS = (
    # with priority: what is typed right after Tab belongs to the next field, also before this one has handled the key
    Action("app.focus_next", ("tab",), "", "The next field", priority=True),
    Action("app.focus_previous", ("shift+tab",), "", "The field before", priority=True),
)
DIALOG_ACTIONS: dict[Scope, tuple[Action, ...]] = {
    "search": (
        Action("submit", ("enter",), "", "Keep the search and go back to the log"),
        Action("toggle_mode", ("ctrl+t",), "", "Show matching lines only, or highlight them", name="search_mode"),
    ),
    "item_search": (Action("submit", ("enter",), "", "Keep the filter and go back to the items"),),
    "item": (
        Action("select_run(-1)", ("left_square_bracket",), "", "The item under the previous run", name="previous"),
        Action(
            "select_run(1)",
            ("right_square_bracket",),
            "run",
            "The item under the next run",
            keys_label="[ ]",
            name="next",
        ),
        Action("select_item(-1)", ("left",), "", "The previous item of the list", name="left"),
        Action(
            "select_item(1)", ("right",), "item", "The next item of the list", keys_label="Left Right", name="right"
        ),
        Action("close", ("escape", "enter", "q"), "back", "Back to the list of items", name="close_item"),
    ),
    "filters": (
        Action("move(-1)", ("up",), "", "The filter above", name="up"),
        Action("move(1)", ("down",), "", "The filter below", name="down"),
        Action("change(-1)", ("left",), "", "Its previous value", name="left"),
        Action("change(1)", ("right",), "", "Its next value", name="right"),
        Action("clear", ("delete", "backspace"), "", "Any value for each", name="any_value"),
        Action("close", ("enter", "escape", "F"), "", "Back to the items that pass", name="close_filters"),
    ),
    "confirm": (
        Action("confirm", ("y",), "yes", "Do it", name="answer_yes"),
        Action("cancel", ("n", "escape"), "no", "Leave everything as it is", name="answer_no"),
    ),
    "prompt": (
        Action("refuse", ("escape",), "", "Refuse to answer"),
        Action("scroll_text(-1)", ("up", "pageup"), "", "The text above", name="text_up"),
        Action("scroll_text(1)", ("down", "pagedown"), "", "The text below", name="text_down"),
    ),
    "answer": (Action("submit", ("enter",), "", "Give the answer"),),
    "steps": (
        Action("move(-1)", ("up",), "", "The step above", name="up"),
        Action("move(1)", ("down",), "", "The step below", name="down"),
        Action("scroll_text(-1)", ("pageup",), "", "The evidence above", name="page_up"),
        Action("scroll_text(1)", ("pagedown",), "", "The evidence below", name="page_down"),
        Action("choose", ("enter",), "", "Open the change that the step means"),
        Action("close", ("escape",), "", "Leave everything as it is", name="close_steps"),
    ),
    "change": (
        *_FIELDS,
        Action("add", ("ctrl+s",), "", "Add the condition or seeds, and launch them"),
        Action("next_change", ("ctrl+t",), "", "The same change of the next condition"),
        Action("cancel", ("escape",), "", "Add nothing"),
    ),
    "decide": (
        Action("move(-1)", ("up",), "", "The decision above", name="up"),
        Action("move(1)", ("down",), "", "The decision below", name="down"),
        Action("cancel", ("escape",), "", "Record nothing"),
    ),
    "launch": (
        *_FIELDS,
        Action("launch_chosen", ("ctrl+s",), "", "Launch what is chosen, after a question"),
        Action("scroll_text(-1)", ("pageup",), "", "What would be launched: above", name="page_up"),
        Action("scroll_text(1)", ("pagedown",), "", "What would be launched: below", name="page_down"),
        Action("cancel", ("escape",), "", "Launch nothing"),
    ),
    "conditions": (
        Action("cursor_up", ("up",), "", "The condition above", name="up"),
        Action("cursor_down", ("down",), "", "The condition below", name="down"),
        Action("first", ("home",), "", "The first condition", name="home"),
        Action("last", ("end",), "", "The last condition", name="end"),
        Action("select", ("space", "enter"), "", "Tick the condition, or no longer", name="tick"),
    ),
    "settings": (
        Action("move(-1)", ("up",), "", "The completion above", name="up"),
        Action("move(1)", ("down",), "", "The completion below", name="down"),
        Action("complete", ("enter",), "", "Take the selected completion"),
    ),
    "switch": (
        *_FIELDS,
        Action("open", ("enter",), "", "Open what is chosen in place of what is open"),
        Action("cancel", ("escape",), "", "Stay with what is open"),
    ),
    "choices": (
        Action("cursor_up", ("up",), "", "The choice above", name="up"),
        Action("cursor_down", ("down",), "", "The choice below", name="down"),
        Action("first", ("home",), "", "The first choice", name="home"),
        Action("last", ("end",), "", "The last choice", name="end"),
    ),
    "warnings": (
        Action("move(-1)", ("up",), "", "The warning above", name="up"),
        Action("move(1)", ("down",), "", "The warning below", name="down"),
        Action("page(-1)", ("pageup",), "", "A page of warnings up", name="page_up"),
        Action("page(1)", ("pagedown",), "", "A page of warnings down", name="page_down"),
        Action("move(-1000000)", ("home",), "", "The newest warning", name="home"),
        Action("move(1000000)", ("end",), "", "The oldest warning", name="end"),
        Action("open", ("enter",), "", "Follow the warning's run in view 3"),
        Action("close", ("escape", "exclamation_mark", "q"), "", "Close the warnings"),
    ),
    "copying": (
        Action("move(-1)", ("up",), "", "The text above", name="up"),
        Action("move(1)", ("down",), "", "The text below", name="down"),
        Action("choose", ("enter",), "", "Copy the text", name="choose_text"),
        Action("cancel", ("escape",), "", "Copy nothing"),
    ),
    "exporting": (
        Action("move(-1)", ("up",), "", "What stands above", name="up"),
        Action("move(1)", ("down",), "", "What stands below", name="down"),
        Action("cancel", ("escape",), "", "Write nothing"),
    ),
    "help": (Action("close", ("escape", "q", "question_mark", "f1"), "", "Close the help", name="close_help"),),
}
