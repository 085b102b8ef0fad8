"""Dialogs over the views: confirmation, the list of keys, and a prompt for what a connection needs.

Imported on first use: what it needs of Textual would delay the first paint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.format import counted
from console.hosts.ssh.prompts import Question
from console.ui.action import key_label
from console.ui.actions import Scope, actions_in, bindings
from console.ui.pane import ScrollPage
from console.user_settings import KEYS_FILE

_MAX_LINES = 200  # a server may send as many as it likes
_KEYS_WIDTH = 13
_HELP_SECTIONS: tuple[tuple[str, tuple[Scope, ...]], ...] = (
    ("Everywhere", ("app",)),
    ("Replay: qllm-console view DIR --replay", ("replay",)),
    ("Host", ("host",)),
    ("Runs", ("runs",)),
    ("New runs: the form, its conditions, its line of settings", ("launch", "conditions", "settings")),
    ("Another host, profile or experiment", ("switch", "choices")),
    ("Live", ("live", "chart", "log", "search")),
    ("Results", ("results",)),
    ("Next steps: the list, the change of one", ("steps", "change")),
    ("Recording a decision", ("decide",)),
    ("Items", ("items", "table", "item_search")),
    ("Filters of items", ("filters",)),
    ("One item", ("item",)),
    ("Warnings", ("warnings",)),
    ("Copying", ("copying",)),
    ("Exporting", ("exporting",)),
    ("This page", ("page", "help")),
    ("When the console asks", ("confirm",)),
    ("When a connection needs input", ("prompt", "answer")),
)


class ConfirmDialog(ModalScreen[bool], inherit_bindings=False):
    """Asks before something is destroyed; the result is True if answered with y, which no asking key is."""

    BINDINGS = bindings("confirm")

    def __init__(self, question: str, yes_label: str) -> None:
        super().__init__()
        self._question = question
        self._yes_label = yes_label

    def compose(self) -> ComposeResult:
        answers = Content.assemble(("y", "bold $text-error"), f"  {self._yes_label}     ", ("n", "bold"), "  cancel")
        with Vertical(id="confirm"):
            yield Static(Content(self._question), id="question")
            yield Static(answers, id="answers")

    def action_confirm(self) -> None:
        self.dismiss(True)

    def action_cancel(self) -> None:
        self.dismiss(False)


class HelpScreen(ModalScreen[None], inherit_bindings=False):
    """Help page: every key with what it does, those of the view ``scope`` first."""

    BINDINGS = bindings("help")

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    def compose(self) -> ComposeResult:
        with ScrollPage(id="help") as page:
            page.border_title = "Keys"
            page.border_subtitle = f"Esc closes   move keys by their names at the right in {KEYS_FILE}"
            yield Static("", id="help-text", markup=False)

    def on_resize(self) -> None:
        """Fit the names of actions beside what they do."""
        page = self.query_one(ScrollPage)
        self.query_one("#help-text", Static).update(help_text(self._scope, page.scrollable_content_region.width))

    def action_close(self) -> None:
        self.dismiss(None)


def help_text(first: Scope, width: int) -> Content:
    """Keys, what they do and, where ``width`` columns hold it, the name of the action; the section of ``first`` first."""
    lines: list[Content] = []
    for title, scopes in sorted(_HELP_SECTIONS, key=lambda section: first not in section[1]):
        lines += [Content("")] if lines else []
        lines.append(Content.styled(title, "bold underline"))
        for action in dict.fromkeys(action for scope in scopes for action in actions_in(scope)):
            keys = " ".join(map(key_label, action.keys))
            line = Content.assemble((f"{keys:>{_KEYS_WIDTH}}", "bold"), f"  {action.help}")
            room = width - line.cell_length - len(action.id)
            lines.append(line + Content.styled(" " * room + action.id, "$foreground-muted") if room >= 2 else line)
    return Content("\n").join(lines)


class AnswerInput(Input):
    """Input for the answer; a secret one cannot be copied out of it."""

    BINDINGS = bindings("answer")

    def action_copy(self) -> None:
        """Copy the selection, unless it is secret."""
        if not self.password:
            super().action_copy()

    def action_cut(self) -> None:
        """Cut the selection, unless it is secret."""
        if not self.password:
            super().action_cut()


class PromptDialog(ModalScreen[str | None], inherit_bindings=False):
    """Asks for a password, a code or trust in a host key; the result is the answer, None for a refusal."""

    BINDINGS = bindings("prompt")

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        question = self._question
        lines = list(question.lines[:_MAX_LINES])
        if more := len(question.lines) - len(lines):
            lines.append(f"... and {counted(more, 'line')} more")
        with Vertical(id="prompt"):
            yield Static(Content.styled(question.title, "bold"), id="prompt-title")
            with VerticalScroll(id="prompt-text", can_focus=False) as text:
                text.display = bool(lines)
                yield Static(Content("\n".join(lines)))
            yield Static(Content(question.prompt), id="prompt-label")
            yield AnswerInput(password=question.secret, id="answer")
            yield Static(self._keys_text(), id="prompt-keys")

    def on_resize(self) -> None:
        """Keep the input visible."""
        for answer in self.query(AnswerInput):  # none before compose and after the dialog is closed
            answer.scroll_visible(animate=False)

    def _keys_text(self) -> Content:
        confirm_word = self._question.confirm_word
        accept = (
            (("Enter", "bold"), " answers") if confirm_word is None else ((confirm_word, "bold"), " and Enter accept")
        )
        return Content.assemble(*accept, "     ", ("Esc", "bold"), " refuses")

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        """Answer; a wrong confirmation word is asked for again."""
        event.stop()
        confirm_word = self._question.confirm_word
        if confirm_word is None:
            self._close(event.value)
        elif event.value.strip() == confirm_word:
            self._close(confirm_word)
        else:
            self.query_one(AnswerInput).clear()
            error = Content.styled(f"That was not the word {confirm_word}. ", "bold $text-error")
            self.query_one("#prompt-keys", Static).update(error + self._keys_text())

    def withdraw(self) -> None:
        """Disable the input: the connection stopped waiting.

        The dialog stays open, because the rest of an answer being typed would otherwise act as keys of the view.
        """
        # a dialog that is being composed or removed has neither or one of the two; the next tick calls again
        answers, keys = self.query(AnswerInput), self.query("#prompt-keys").results(Static)
        for answer, text in zip(answers, keys, strict=False):
            if not answer.disabled:
                answer.clear()
                answer.disabled = True
                text.update(
                    Content.assemble("The host no longer waits for the answer.     ", ("Esc", "bold"), " closes")
                )

    def action_refuse(self) -> None:
        """Close without an answer."""
        self._close(None)

    def action_scroll_text(self, by: int) -> None:
        self.query_one("#prompt-text").scroll_relative(y=4 * by, animate=False, immediate=True)

    def _close(self, answer: str | None) -> None:
        self.query_one(AnswerInput).clear()
        self.dismiss(answer)


class Choices(Static):
    """List of lines of which one is selected.

    Args:
        lines: what the choices say.
        height: lines shown at a time.
        selected: the line selected first.
    """

    def __init__(self, lines: Sequence[Content], *, height: int, id: str, selected: int = 0) -> None:
        super().__init__("", id=id, markup=False)
        self.selected = selected
        self._first = 0
        self._lines = lines
        self._height = height

    @dataclass
    class Clicked(Message):
        """Posted when a click or the wheel selects a line."""

    @dataclass
    class DoubleClicked(Message):
        """Posted when the selected line is double-clicked, which chooses it."""

    def on_resize(self) -> None:
        """Truncate the choices to the new width."""
        self.move(0)

    def on_click(self, event: events.Click) -> None:
        """Select the line under the pointer."""
        self.move(self._first + event.y - self.selected)
        self.post_message(self.DoubleClicked() if event.chain == 2 else self.Clicked())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Select the line below, as the wheel scrolls a list."""
        event.stop()
        self.move(1)
        self.post_message(self.Clicked())

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Select the line above."""
        event.stop()
        self.move(-1)
        self.post_message(self.Clicked())

    def move(self, by: int) -> None:
        """Select the line ``by`` lines below; the selection stops at the ends."""
        self.selected = min(max(0, self.selected + by), len(self._lines) - 1)
        first = min(max(0, self.selected - self._height // 2), max(0, len(self._lines) - self._height))
        self._first = first
        shown = range(first, min(len(self._lines), first + self._height))
        marks = ((("▸ ", "bold $text-accent") if at == self.selected else "  ") for at in shown)
        lines = [Content.assemble(mark, self._lines[at]) for mark, at in zip(marks, shown, strict=True)]
        self.update(Content("\n").join(line.truncate(max(20, self.size.width), ellipsis=True) for line in lines))
