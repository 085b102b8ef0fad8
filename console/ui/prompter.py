"""Asks the operator in the console itself: a Prompter whose questions the app shows one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.message import Message

from console.hosts.prompts import NobodyToAsk, Question
from console.ui.messages import Asked


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
            NobodyToAsk: the console is closing.
        """
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        if not self._post(Asked(question, answer)):
            raise NobodyToAsk("the console is closing")
        return await answer
