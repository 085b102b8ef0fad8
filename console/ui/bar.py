"""A share as a bar of text."""

from __future__ import annotations


def bar(fraction: float, width: int) -> str:
    """A bar of ``width`` cells, in eighths, without braille."""
    eighths = round(max(0.0, min(1.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    drawn = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return drawn + "·" * (width - len(drawn))
