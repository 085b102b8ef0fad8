"""The checks of view 1, with a cursor over them."""

from __future__ import annotations

import time

from textual import events
from textual.content import Content
from textual.reactive import reactive

from console.hosts.preflight.check import Check
from console.ui.checklist_words import check_lines
from console.ui.examination import Examination, first_concern
from console.ui.words import Words


class Checklist(Words):
    """Some lines a check; the cursor stays with its check when they are looked at again."""

    examination: reactive[Examination] = reactive(Examination(), init=False)

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._at = 0
        self._tops = [0]

    @property
    def selected(self) -> Check | None:
        """The check under the cursor."""
        checks = self.examination.checks
        return checks[self._at] if self._at < len(checks) else None

    def watch_examination(self, old: Examination, new: Examination) -> None:
        """Say the new state; the first look puts the cursor on what to see to first."""
        if new.checks != old.checks:
            names = [check.name for check in new.checks]
            here = old.checks[self._at].name if self._at < len(old.checks) else None
            self._at = names.index(here) if here in names else first_concern(new.checks)
        self.tick()

    def on_resize(self) -> None:
        """Wrap anew."""
        self.tick()

    def tick(self) -> None:
        """Let the time of a repair go on."""
        if not self.size.width:
            return
        lines: list[Content] = []
        self._tops = [0]
        for place, check in enumerate(self.examination.checks):
            repair = self.examination.repair
            lines += check_lines(
                check,
                selected=place == self._at,
                repair=repair if repair is not None and repair.check == check.name else None,
                width=self.size.width,
                now=time.monotonic(),
            )
            self._tops.append(len(lines))
        self.say(Content("\n").join(lines))

    def move(self, by: int) -> bool:
        """Select another check; False if there is none in that direction."""
        to = self._at + by
        if not 0 <= to < len(self.examination.checks):
            return False
        self._at = to
        self.tick()
        return True

    @property
    def selected_top(self) -> int:
        """The first line of the selected check."""
        return self._tops[self._at] if self._at < len(self._tops) else 0

    @property
    def selected_height(self) -> int:
        """Lines of the selected check."""
        return self._tops[self._at + 1] - self._tops[self._at] if self._at + 1 < len(self._tops) else 0

    def on_click(self, event: events.Click) -> None:
        """Select the check that was clicked."""
        for place in range(len(self.examination.checks)):
            if self._tops[place] <= event.y < self._tops[place + 1]:
                self.move(place - self._at)
                return
