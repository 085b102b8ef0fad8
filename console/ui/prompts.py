"""Prompts of a connection, such as a password: queued, and shown one at a time when no other dialog is open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import App
from textual.message import Message

from console.ui.messages import PromptRequested

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Question


class ScreenPrompter:
    """Asks the operator through dialogs of the app.

    Args:
        post_message: posts a message to the app; False once the app is closing.
    """

    def __init__(self, post_message: Callable[[Message], bool]) -> None:
        self._post_message = post_message

    async def ask(self, question: Question) -> str | None:
        """The operator's answer, None for a refusal. Cancelling the call withdraws the question.

        Raises:
            OperatorUnavailable: the console is closing.
        """
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if not self._post_message(PromptRequested(question, answer)):
            from console.hosts.ssh.prompts import OperatorUnavailable

            raise OperatorUnavailable("the console is closing")
        return await answer


class PromptQueue(App[None], inherit_bindings=False):
    """App mixin with a prompter and a queue of its questions."""

    def __init__(self) -> None:
        super().__init__()
        self.prompter = ScreenPrompter(self.post_message)
        self._queue: deque[PromptRequested] = deque()
        self._open: PromptRequested | None = None

    @on(PromptRequested)
    def _enqueue(self, message: PromptRequested) -> None:
        self._queue.append(message)
        self.show_next_prompt()

    def show_next_prompt(self) -> None:
        """Open the next question unless a dialog is open; withdraw an open one that nobody waits for any more.

        Called on every tick, because no event reports that a dialog closed or that the asking task was cancelled.
        """
        if not self._queue and self._open is None:
            return
        from console.ui.dialogs import PromptDialog

        screens = self.screen_stack  # empty while the console closes
        if screens and isinstance(top := screens[-1], PromptDialog) and self._open and self._open.answer.done():
            top.withdraw()
        while self._queue and self._queue[0].answer.done():
            self._queue.popleft()
        if self._queue and len(screens) == 1:
            self._open = self._queue.popleft()
            self.push_screen(PromptDialog(self._open.question), self._set_answer)

    def _set_answer(self, answer: str | None) -> None:
        request, self._open = self._open, None
        if request is not None and not request.answer.done():
            request.answer.set_result(answer)
        self.call_later(self.show_next_prompt)
