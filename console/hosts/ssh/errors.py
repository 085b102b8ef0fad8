"""Why there is no link to a host, each reason in one clear line that is safe to show."""

from __future__ import annotations

import socket

import asyncssh

from console.sanitize import sanitize_line


class LinkDown(Exception):
    """The host cannot be reached, or stopped answering; what runs there goes on.

    Attributes:
        door: address and port to knock at to learn of its return; None where one cannot knock.
    """

    def __init__(self, text: str, door: tuple[str, int] | None = None) -> None:
        super().__init__(text)
        self.door = door


class Unreachable(LinkDown):
    """Nothing answered at the host's port, or what answered was silent."""


class LoginRefused(LinkDown):
    """The host is the right one and lets us in with nothing we have.

    Attributes:
        asked: whether the operator was asked for something on the way.
    """

    def __init__(self, text: str, asked: bool = False) -> None:
        super().__init__(text)
        self.asked = asked


class NeedsOperator(LinkDown):
    """Trying again by itself would change nothing: a person must do or decide something."""


class HostKeyChanged(NeedsOperator):
    """The host shows another key than the one it is known by: it may be somebody else."""


class HostKeyRefused(NeedsOperator):
    """The host's key is unknown and nobody consented to it, or it is revoked."""


def explained(error: Exception, where: str, door: tuple[str, int] | None) -> LinkDown:
    """``error`` of a connection to ``where`` (``user@address:port``) as one line."""
    name = sanitize_line(where)
    match error:
        case socket.gaierror():
            return Unreachable(f"{name}: the name cannot be resolved", door)
        case ConnectionRefusedError():
            return Unreachable(f"{name}: the connection is refused; no SSH server listens there", door)
        case TimeoutError():
            return Unreachable(f"{name}: no answer", door)
        case asyncssh.KeyExchangeFailed() | asyncssh.ProtocolNotSupported() | asyncssh.ProtocolError():
            return LinkDown(f"{name}: no common way of speaking SSH: {_words(error)}")
        case asyncssh.ConnectionLost() | ConnectionError():
            return LinkDown(f"{name}: the connection was cut: {_words(error)}", door)
        case asyncssh.ChannelOpenError():
            return LinkDown(f"{name}: the way there is refused: {_words(error)}")
        case OSError() if error.strerror:
            return Unreachable(f"{name}: {_words(error)}", door)
        case _:
            return LinkDown(f"{name}: {_words(error)}")


def _words(error: Exception) -> str:
    """What an exception says, without its number and class."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return sanitize_line(said, 400) or type(error).__name__
