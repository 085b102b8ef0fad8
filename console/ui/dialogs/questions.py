"""Asking the operator: questions wait in line, and for any dialogue that is open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.app import App
from textual.message import Message

from console.ui.messages import Asked

if TYPE_CHECKING:
    from console.hosts.ssh.prompts import Question


class ScreenPrompter:
    """Waits for answers on the app's own event loop.

    Args:
        post: posts a message to the app; False if it is no longer there.
    """

    def __init__(self, post: Callable[[Message], bool]) -> None:
        self._post = post

    async def ask(self, question: Question) -> str | None:
        """The operator's answer, None for a refusal; it is cancelled with the asker, by which the app knows.

        Raises:
            OperatorUnavailable: the console is closing.
        """
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if not self._post(Asked(question, answer)):
            from console.hosts.ssh.prompts import OperatorUnavailable

            raise OperatorUnavailable("the console is closing")
        return await answer


class QuestionQueue(App[None], inherit_bindings=False):
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
        from console.ui.dialogs.prompt import PromptDialog

        screens = self.screen_stack  # empty while the console closes
        if screens and isinstance(top := screens[-1], PromptDialog) and self._open and self._open.answer.done():
            top.take_back()
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        if self._waiting and len(screens) == 1:
            self._open = self._waiting.popleft()
            self.push_screen(PromptDialog(self._open.question), self._answered)

    def _answered(self, answer: str | None) -> None:
        asked, self._open = self._open, None
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(answer)
        self.call_later(self.ask_next)
