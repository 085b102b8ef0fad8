"""Errors of a connection to a host, each with a one-line text that is safe to show."""

from __future__ import annotations

import socket

import asyncssh

from console.sanitize import sanitize_line


class LinkDown(Exception):
    """The host cannot be reached, or stopped answering; its runs continue.

    Attributes:
        probe_address: address and port to probe for the host's return; None if it cannot be probed.
    """

    def __init__(self, text: str, probe_address: tuple[str, int] | None = None) -> None:
        super().__init__(text)
        self.probe_address = probe_address


class Unreachable(LinkDown):
    """Nothing answers at the host's port, or the server stays silent."""


class LoginRefused(LinkDown):
    """The host's key is verified, but it accepts none of our keys and passwords.

    Attributes:
        operator_asked: whether the operator was asked for something during the attempt.
    """

    def __init__(self, text: str, operator_asked: bool = False) -> None:
        super().__init__(text)
        self.operator_asked = operator_asked


class NeedsOperator(LinkDown):
    """A retry would fail in the same way until a person does or decides something."""


class Misconfigured(LinkDown):
    """What the console was given is wrong: hosts.toml, the ssh configuration, or a file that one of them names.

    No attempt can succeed before it is corrected, so a command ends at once, as for any other bad input.
    """


class HostKeyChanged(NeedsOperator):
    """The host shows another key than the one it is known by: it may be an impostor."""


class HostKeyRefused(NeedsOperator):
    """The host's key is unknown and was not confirmed, or it is revoked."""


def link_error(error: Exception, host: str, probe_address: tuple[str, int] | None) -> LinkDown:
    """Translate ``error`` of a connection to ``host`` (``user@address:port``) to a LinkDown with a clear text."""
    name = sanitize_line(host)
    match error:
        case socket.gaierror() if error.errno == socket.EAI_NONAME:
            return Misconfigured(f"{name}: there is no host of that name")
        case UnicodeError():
            return Misconfigured(f"{name}: that is no name of a host")
        case socket.gaierror():
            return Unreachable(f"{name}: the name cannot be resolved", probe_address)
        case ConnectionRefusedError():
            return Unreachable(f"{name}: connection refused; no SSH server listens there", probe_address)
        case TimeoutError():
            return Unreachable(f"{name}: no answer", probe_address)
        case asyncssh.KeyExchangeFailed() | asyncssh.ProtocolNotSupported() | asyncssh.ProtocolError():
            return LinkDown(f"{name}: SSH protocol error: {_error_text(error)}")
        case asyncssh.ConnectionLost() | ConnectionError():
            return LinkDown(f"{name}: connection lost: {_error_text(error)}", probe_address)
        case asyncssh.ChannelOpenError():
            return LinkDown(f"{name}: the jump host refuses to connect to it: {_error_text(error)}")
        case OSError() if error.strerror:
            return Unreachable(f"{name}: {_error_text(error)}", probe_address)
        case _:
            return LinkDown(f"{name}: {_error_text(error)}")


def _error_text(error: Exception) -> str:
    """The message of an exception, without its number and class."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return sanitize_line(text, 400) or type(error).__name__
