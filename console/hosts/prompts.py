"""Questions to the operator while a link comes up: a host key to consent to, a passphrase, a password, a code."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Question(Struct, frozen=True):
    """One question; every text in it is safe to show.

    Attributes:
        title: what it is about, in a few words.
        lines: what the operator should know before answering.
        prompt: what stands before the answer.
        secret: the answer is not shown, kept or logged.
        consent: the word to be typed for "yes"; any other answer is "no". None where any answer will do.
    """

    title: str
    lines: tuple[str, ...] = ()
    prompt: str = ""
    secret: bool = False
    consent: str | None = None


class NobodyToAsk(Exception):
    """There is no operator within reach; the text says how to be asked."""


class Prompter(Protocol):
    """Who asks the operator. One question is open at a time; a cancelled one is taken back (the host hung up)."""

    async def ask(self, question: Question) -> str | None:
        """The answer; None if the operator would rather not.

        Raises:
            NobodyToAsk: there is nobody to ask.
        """
        ...


class Nobody:
    """For consoles without an operator: every question is refused."""

    def __init__(self, advice: str = "run `qllm-console status` in a terminal once") -> None:
        self._advice = advice

    async def ask(self, question: Question) -> str | None:
        raise NobodyToAsk(f"there is nobody to ask; {self._advice}")
