"""Messages that the host sent to services on the ends of runs, and the outcome of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from console.sanitize import sanitize_line


class SendOutcome(Struct, frozen=True):
    """Outcome of one message for one URL.

    Attributes:
        url: its scheme, since all else of it may be secret.
        error: why the message was not sent; "" if it was.
    """

    url: str
    error: str


class SentMessage(Struct, frozen=True):
    """One message that the host sent; all texts are safe to show.

    Attributes:
        at: Unix time of the host in seconds.
        folder: the experiment's folder on the host.
        text: the message's title, such as ``A/42 finished: top-1 43.1, all gates passed``.
    """

    at: float
    folder: str
    text: str
    outcomes: tuple[SendOutcome, ...]


def decode_outcomes(reply: Mapping[str, Any]) -> tuple[SendOutcome, ...]:
    """Decode the agent's reply to a test; raises ValidationError."""
    found = msgspec.convert(reply.get("outcomes"), tuple[SendOutcome, ...])
    return tuple(map(_safe, found))


def decode_messages(reply: Mapping[str, Any]) -> tuple[SentMessage, ...]:
    """Decode the agent's log of messages; raises ValidationError."""
    return tuple(
        SentMessage(one.at, sanitize_line(one.folder), sanitize_line(one.text), tuple(map(_safe, one.outcomes)))
        for one in msgspec.convert(reply.get("messages"), tuple[SentMessage, ...])
    )


def outcomes_text(outcomes: tuple[SendOutcome, ...]) -> str:
    """``sent``, or which of the URLs did not get it and why: ``2 ntfys://... the service answered 500``."""
    failed = [f"{number} {one.url} {one.error}" for number, one in enumerate(outcomes, 1) if one.error]
    return "; ".join(failed) or "sent"


def _safe(outcome: SendOutcome) -> SendOutcome:
    return SendOutcome(sanitize_line(outcome.url), sanitize_line(outcome.error))
