"""The clipboard of the operator's terminal, over SSH, tmux and GNU Screen too (OSC 52)."""

from __future__ import annotations

import os
import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping

_SCREEN_PIECE = 700  # bytes; GNU Screen drops longer strings


def command_line(*words: str) -> str:
    """``words`` as a shell would take them."""
    return shlex.join(words)


def clipboard_sequences(text: str, environ: Mapping[str, str]) -> list[str]:
    """What to write to a terminal so that ``text`` is in its clipboard (OSC 52), through tmux and GNU Screen too.

    tmux takes the plain sequence if its ``set-clipboard`` is on, and hands on the wrapped one if ``allow-passthrough`` is.
    """
    plain = f"\x1b]52;c;{b64encode(text.encode('utf-8')).decode('ascii')}\x07"
    if environ.get("STY"):
        pieces = [plain[at : at + _SCREEN_PIECE] for at in range(0, len(plain), _SCREEN_PIECE)]
        return ["".join(f"\x1bP{piece}\x1b\\" for piece in pieces)]
    if environ.get("TMUX") or environ.get("TERM", "").startswith("tmux"):
        doubled = plain.replace("\x1b", "\x1b\x1b")
        return [plain, f"\x1bPtmux;{doubled}\x1b\\"]
    return [plain]


def write_wrapped(text: str, write: Callable[[str], object]) -> None:
    """Write what tmux or GNU Screen hands on to its own terminal, beside the plain sequence that Textual writes."""
    for sequence in clipboard_sequences(text, os.environ):
        if sequence.startswith("\x1bP"):
            write(sequence)
