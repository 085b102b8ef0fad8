"""What can be in the place of a file that programs read and write: garbage, and things that are no file."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from console.hosts.agent.restore import exchange

KEY = "0" * 32


def _content(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:  # by the folder's descriptor: such a path must be short
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


NOT_FILES: dict[str, Callable[[Path], None]] = {
    "a folder": Path.mkdir,
    "a FIFO": os.mkfifo,
    "a symlink": lambda path: path.symlink_to("/etc/passwd"),
    "a symlink to nothing": lambda path: path.symlink_to("nowhere"),
    "a symlink to itself": lambda path: path.symlink_to(path.name),
    "a socket": _socket,
}
NOT_STATES: dict[str, Callable[[Path], None]] = {
    "empty": _content(b""),
    "NUL bytes": _content(bytes(500)),
    "half a line": _content(b'{"state": "running", "key": "0'),
    "no text": _content(b"\xff\xfe\xff"),
    "deep": _content(b"[" * 60_000),
    "a number of digits": _content(b'{"state": ' + b"9" * 6000 + b"}"),
    "long": _content(b'{"state": "running", "reason": "' + bytes(200_000) + b'"}'),
    "{}": _content(b"{}"),
    "[]": _content(b"[]"),
    "null": _content(b"null"),
    "key null": _content(b'{"state": "running", "key": null}'),
    "key unknown": _content(b'{"state": "running", "key": "../../../x"}'),
    "state null": _content(b'{"state": null, "key": "%s"}' % KEY.encode()),
    "state unknown": _content(b'{"state": "dancing", "key": "%s"}' % KEY.encode()),
    "state a list": _content(b'{"state": [], "key": "%s"}' % KEY.encode()),
    "heartbeat a text": _content(b'{"state": "running", "key": "%s", "heartbeat": "x"}' % KEY.encode()),
    "ticket beyond measure": _content(b'{"state": "running", "key": "%s", "ticket": 1%s}' % (KEY.encode(), b"0" * 40)),
    "times NaN": _content(b'{"state": "finished", "key": "%s", "ended_at": NaN}' % KEY.encode()),
    "process a number": _content(b'{"state": "running", "key": "%s", "supervisor": 7}' % KEY.encode()),
    "process negative": _content(
        b'{"state": "running", "key": "%s", "job": {"pid": -1, "start": 1, "boot": ""}}' % KEY.encode()
    ),
    "GPU a text": _content(b'{"state": "running", "key": "%s", "gpu": "GPU-1"}' % KEY.encode()),
    "half a character": _content(b'{"state": "failed", "key": "%s", "reason": "\\ud800"}' % KEY.encode()),
}


def replace(path: Path, by: Callable[[Path], None]) -> None:
    """Put something else in the place of what is at ``path``."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    by(path)


def replace_at_once(path: Path, by: Callable[[Path], None]) -> None:
    """As ``replace``, but whoever polls never finds nothing there."""
    beside = path.with_name(f".{path.name}.odd")
    by(beside)
    exchange(path, beside)
    beside.unlink()
