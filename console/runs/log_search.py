"""Search of a whole log: counts the accepted lines of each block, in parts, so that any of them is found again quickly."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from itertools import accumulate
from threading import RLock

from console.runs.log_query import BadPattern, LogMatcher, LogQuery
from console.runs.log_store import LogStore

_KEPT_BLOCKS = 1024  # whose matches are kept: 8 bytes each, 16 MB if every line of every block is one
_NOT_SEARCHED = -1
_AT_ONCE = 8


class LogSearch:
    """The lines of a log that a query accepts, searched from a line outwards, and onwards as the log grows.

    ``advance`` and ``find`` read the file and may run in any thread; the rest answers at once by what they have found.

    Args:
        near: line whose block is searched first.

    Attributes:
        error: why the query cannot be used, in one line; "" if it can.
    """

    def __init__(self, store: LogStore, query: LogQuery, near: int = 0) -> None:
        self.store = store
        self.query = query
        self.error = ""
        self.closed = False
        self.matcher: LogMatcher | None = None
        self._needles = [needle.encode() for needle in query.needles]
        self._near = near
        self._lock = RLock()
        self._restart()

    def _restart(self) -> None:
        self._basis = self.store.opened, self.store.index.merges
        self._counts = array("l")
        self._matches: OrderedDict[int, array[int]] = OrderedDict()
        self._sums: list[int] = [0]
        self._sums_known = True
        self._down = self.store.index.block_of_line(self._near)
        self._up = self._down - 1
        self._lines_of_last = 0  # lines of the block before ``_down`` when it was searched

    def close(self) -> None:
        """Stop what searches in another thread."""
        self.closed = True

    @property
    def usable(self) -> bool:
        """Whether the query is known to be one that can be matched."""
        return self.matcher is not None and not self.error

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the included terms are in a line, for highlighting; nowhere until the query is known to be usable."""
        return self.matcher.spans(text) if self.matcher is not None and not self.error else []

    @property
    def count(self) -> int:
        """Accepted lines found so far."""
        return self._totals()[-1]

    @property
    def searched(self) -> float:
        """Share of the blocks that are searched, 0 to 1."""
        blocks = len(self.store.index)
        return 1.0 if not blocks else min(1.0, sum(count >= 0 for count in self._counts) / blocks)

    @property
    def behind(self) -> bool:
        """Whether there are lines that are not searched yet."""
        if self.error or self.closed:
            return False
        return self._basis != (self.store.opened, self.store.index.merges) or self._next_block() is not None

    def advance(self, seconds: float) -> bool:
        """Search for about ``seconds``; returns whether there is more. Of several calls at once, one has to wait."""
        deadline = time.monotonic() + seconds
        while self.behind:
            if not self._prepare() or not self._search_next():
                return False
            if time.monotonic() > deadline:
                return self.behind
        return False

    def _prepare(self) -> bool:
        """Be ready to match; False if the query cannot be used. No lock is held: it may load polars."""
        try:
            self.matcher = self.matcher or LogMatcher(self.query)
        except BadPattern as error:
            self.error = str(error)
        return not self.error

    def _search_next(self) -> bool:
        """Search a block, or several at once that have nothing; False if an expression turns out to be too slow.

        No lock is held while lines are matched, so that what is known already can be asked for meanwhile.
        """
        with self._lock, self.store.lock:
            index = self.store.index
            if self._basis != (self.store.opened, index.merges):
                self._near = 0 if self._basis[0] != self.store.opened else self._near
                self._restart()
            if (block := self._next_block()) is None:
                return True
            basis, several, text = self._basis, self._several(block), None
            if not self._lacks_a_needle(several[0], len(several)):
                several = range(block, block + 1)
                text = None if self._lacks_a_needle(block, 1) else self.store.block_text(block)
            lines = index.lines[several[-1] + 1] - index.lines[several[-1]]
        try:
            found = self._matching(text)
        except BadPattern as error:
            self.error = str(error)
            return False
        with self._lock:
            if self._basis == basis:
                self._note(block, several, found, lines)
        return True

    def _matching(self, text: str | None) -> array[int]:
        """Indexes of the accepted lines of a text; none of None."""
        return array("l", self.matcher.matching(text) if text is not None and self.matcher is not None else ())

    def _next_block(self) -> int | None:
        """Blocks below and above in turn, from the one that is searched first."""
        index = self.store.index
        blocks = len(index)
        last = self._down - 1
        known = 0 <= last < blocks and self._counts_of(last) >= 0
        if known and index.lines[self._down] - index.lines[last] != self._lines_of_last:
            return last  # it has grown
        if self._down < blocks and (self._up < 0 or blocks - self._down >= self._up):
            return self._down
        if self._up >= 0:
            return self._up
        return self._down if self._down < blocks else None

    def _counts_of(self, block: int) -> int:
        return self._counts[block] if block < len(self._counts) else _NOT_SEARCHED

    def _note(self, block: int, several: range, found: array[int], lines: int) -> None:
        """Keep what was found in ``block``, or that ``several`` have nothing; ``lines``: how many the last of them has."""
        self._counts.extend([_NOT_SEARCHED] * (several[-1] + 1 - len(self._counts)))
        for one in several:
            self._counts[one] = len(found)
        self._matches.pop(block, None)
        if found:
            self._keep(block, found)
        self._sums_known = False
        if several[0] == self._down:
            self._down = several[-1] + 1
        elif block == self._up:
            self._up = several[0] - 1
        if several[-1] == self._down - 1:
            self._lines_of_last = lines

    def _several(self, block: int) -> range:
        """``block`` and some after it in the same direction that are not searched yet, in ascending order."""
        if block == self._up:
            return range(max(0, block + 1 - _AT_ONCE), block + 1)
        return range(block, min(len(self.store.index), block + (_AT_ONCE if block == self._down else 1)))

    def _keep(self, block: int, found: array[int]) -> None:
        self._matches[block] = found
        self._matches.move_to_end(block)
        while len(self._matches) > _KEPT_BLOCKS:
            self._matches.popitem(last=False)

    def _lacks_a_needle(self, block: int, count: int) -> bool:
        """Whether blocks lack a text that an accepted line has, which is seen without cutting them into lines."""
        if not (needles := self._needles) or not all(self.store.index.plain[block : block + count]):
            return False
        lowered = self.store.block_raw(block, count).lower()
        return not all(needle in lowered for needle in needles)

    def _of_block(self, block: int) -> array[int]:
        """Matches of a block that was searched; those of a block that was dropped are searched again."""
        if not self._counts_of(block):
            return array("l")
        if (found := self._matches.get(block)) is None:
            found = self._matching(self.store.block_text(block))
            self._keep(block, found)
        return found

    def _totals(self) -> list[int]:
        """By block, accepted lines above it; one entry more for all."""
        with self._lock:
            if not self._sums_known:
                self._sums = [0, *accumulate(max(0, count) for count in self._counts)]
                self._sums_known = True
            return self._sums

    def line(self, row: int) -> int:
        """Number of the ``row``-th accepted line, from 0, of those found so far."""
        with self._lock:
            sums = self._totals()
            block = bisect_right(sums, row) - 1
            found = self._of_block(block) if block < len(sums) - 1 else array("l")
            at = row - sums[block]
            return self.store.index.lines[block] + found[at] if at < len(found) else self.store.total

    def row(self, number: int) -> int:
        """Row of line ``number``, or of the last accepted line above it."""
        with self._lock:
            sums, block = self._totals(), self.store.index.block_of_line(number)
            if block >= len(sums) - 1:
                return max(0, sums[-1] - 1)
            at = bisect_right(self._of_block(block), number - self.store.index.lines[block])
            return max(0, min(sums[block] + at, sums[-1]) - 1)

    def find(self, number: int, by: int) -> int | None:
        """The next accepted line below ``number``, or above it for ``by`` -1; None if there is none."""
        index = self.store.index
        block = index.block_of_line(number)
        while 0 <= block < len(index) and not self.closed and self._prepare():
            with self.store.lock:
                first = index.lines[block]
                text = None if self._lacks_a_needle(block, 1) else self.store.block_text(block)
            try:
                found = self._matching(text)
            except BadPattern as error:
                self.error = str(error)
                return None
            at = bisect_right(found, number - first) if by > 0 else bisect_left(found, number - first) - 1
            if 0 <= at < len(found):
                return first + found[at]
            block += by
        return None
