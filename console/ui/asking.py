"""Asking the operator: questions wait in line, and for any dialogue that is open."""

from __future__ import annotations

from collections import deque

from textual import on
from textual.app import App

from console.ui.messages import Asked
from console.ui.prompter import ScreenPrompter


class AskingApp(App[None], inherit_bindings=False):
    """An application with a prompter."""

    def __init__(self) -> None:
        super().__init__()
        self.prompter = ScreenPrompter(self.post_message)
        self._waiting: deque[Asked] = deque()
        self._open: Asked | None = None

    @on(Asked)
    def _asked(self, message: Asked) -> None:
        self._waiting.append(message)
        self.ask_next()

    def ask_next(self) -> None:
        """Show the next question, unless there is a dialogue; one that nobody waits for any longer says so.

        Called on every tick: nothing tells when a dialogue closes or an asker is gone.
        """
        from console.ui.prompt_dialogue import PromptDialogue

        screens = self.screen_stack  # empty while the console closes
        if screens and isinstance(top := screens[-1], PromptDialogue) and self._open and self._open.answer.done():
            top.take_back()
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        if self._waiting and len(screens) == 1:
            self._open = self._waiting.popleft()
            self.push_screen(PromptDialogue(self._open.question), self._answered)

    def _answered(self, answer: str | None) -> None:
        asked, self._open = self._open, None
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(answer)
        self.call_later(self.ask_next)
