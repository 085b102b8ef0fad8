"""A question of the host's, or about it, that only the operator can answer: a key to trust, a password, a code."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from console.format import counted
from console.hosts.ssh.prompts import Question
from console.ui.actions import bindings

_MOST_LINES = 200  # a server may send as many as it likes


class AnswerInput(Input):
    """Where the answer is typed; a secret one cannot be copied out of it."""

    BINDINGS = bindings("answer")

    def action_copy(self) -> None:
        """Copy what is selected, unless it is secret."""
        if not self.password:
            super().action_copy()

    def action_cut(self) -> None:
        """Cut what is selected, unless it is secret."""
        if not self.password:
            super().action_cut()


class PromptDialog(ModalScreen[str | None], inherit_bindings=False):
    """Shows one question; its result is the answer, None if the operator would rather not."""

    BINDINGS = bindings("prompt")

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """What it is about, what to know, where to answer, and the keys."""
        question = self._question
        lines = list(question.lines[:_MOST_LINES])
        if left := len(question.lines) - len(lines):
            lines.append(f"... and {counted(left, 'line')} more")
        with Vertical(id="prompt"):
            yield Static(Content.styled(question.title, "bold"), id="prompt-title")
            with VerticalScroll(id="prompt-text", can_focus=False) as text:
                text.display = bool(lines)
                yield Static(Content("\n".join(lines)))
            yield Static(Content(question.prompt), id="prompt-label")
            yield AnswerInput(password=question.secret, id="answer")
            yield Static(self._keys(), id="prompt-keys")

    def on_resize(self) -> None:
        """Keep in sight what is typed."""
        for answer in self.query(AnswerInput):  # none before the dialogue is composed and once it has gone
            answer.scroll_visible(animate=False)

    def _keys(self) -> Content:
        confirm_word = self._question.confirm_word
        how = (("Enter", "bold"), " answers") if confirm_word is None else ((confirm_word, "bold"), " and Enter accept")
        return Content.assemble(*how, "     ", ("Esc", "bold"), " refuses")

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        """Answer; a wrong confirmation word is asked for again."""
        event.stop()
        confirm_word = self._question.confirm_word
        if confirm_word is None:
            self._leave(event.value)
        elif event.value.strip() == confirm_word:
            self._leave(confirm_word)
        else:
            self.query_one(AnswerInput).clear()
            words = Content.styled(f"That was not the word {confirm_word}. ", "bold $text-error")
            self.query_one("#prompt-keys", Static).update(words + self._keys())

    def take_back(self) -> None:
        """Nobody waits any longer. The dialogue stays, lest the rest of what is being typed be taken for other keys."""
        answer = next(iter(self.query(AnswerInput)), None)
        if answer is None:  # not composed yet
            self.call_after_refresh(self.take_back)
        elif not answer.disabled:
            answer.clear()
            answer.disabled = True
            words = Content.assemble("The host no longer waits for the answer.     ", ("Esc", "bold"), " closes")
            self.query_one("#prompt-keys", Static).update(words)

    def action_refuse(self) -> None:
        """Answer nothing."""
        self._leave(None)

    def action_scroll_text(self, by: int) -> None:
        """Show more of a long text."""
        self.query_one("#prompt-text").scroll_relative(y=4 * by, animate=False)

    def _leave(self, answer: str | None) -> None:
        self.query_one(AnswerInput).clear()
        self.dismiss(answer)
