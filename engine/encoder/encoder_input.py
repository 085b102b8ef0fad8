"""What the encoder reads for a context or a sense; needs no PyTorch, which files of items are checked without."""

from __future__ import annotations

from typing import NamedTuple


class EncoderInput(NamedTuple):
    """A text that the encoder reads, and where its target word is: ``text[start:end]``; ``start == end`` where none is.

    ``is_gloss`` marks what is read for a sense; its target word is the lemma in front of the gloss.
    """

    text: str
    start: int = 0
    end: int = 0
    is_gloss: bool = False
