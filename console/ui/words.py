"""A text that changes often and little: drawn anew only when it is another, laid out anew only when its height is."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static


class Words(Static):
    """Content, never markup."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._words = Content("")

    def say(self, words: Content) -> None:
        """Show ``words``."""
        if words.is_same(self._words):
            return
        width = max(1, self.size.width)
        same_height = len(words.wrap(width)) == len(self._words.wrap(width)) and bool(self._words)
        self._words = words
        self.update(words, layout=not same_height)
