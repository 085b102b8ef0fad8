"""Makes untrusted text from a host safe to show in a terminal or to log; the only place that does so."""

from __future__ import annotations

import re

_SEQUENCES = re.compile(
    r"""
      (?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?              # CSI
    | (?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?   # OSC
    | (?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)?  # DCS, SOS, PM, APC
    | \x1b[ -/]*[0-~]?                               # other escapes
    """,
    re.VERBOSE,
)
# C0 except tab and newline, DEL, C1, and the controls that reorder or hide text (bidi, zero width, line separators)
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def sanitize(text: str) -> str:
    """``text`` without escape sequences, control characters except tab and newline, and bidi or invisible characters."""
    if text.isascii() and text.isprintable():  # the common case, without the cost of two regular expressions
        return text
    return _CONTROLS.sub("", _SEQUENCES.sub("", text)).encode("utf-8", "replace").decode("utf-8")


def sanitize_line(text: str, limit: int = 4000) -> str:
    """One safe line: newlines become spaces, tabs are expanded, and text beyond ``limit`` characters is cut and marked."""
    line = sanitize(text[: 4 * limit])  # a hostile line of gigabytes is cut before the regular expressions see it
    line = line.replace("\n", " ").expandtabs(4)
    if len(line) <= limit and len(text) <= 4 * limit:
        return line
    return f"{line[:limit]} … ({len(text):,} characters)"
