"""View 4: the results of all runs with a local copy and the decision on them, again whenever another run is synced."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from console.results.records import Results
from console.results.report.layout import section_lines
from console.results.report.markup import as_csv, as_markdown
from console.results.report.page import COMPUTING, page
from console.results.tables import LINE_WIDTH, Line, Section
from console.runs.snapshot import Snapshot
from console.sanitize import sanitize_line
from console.ui.actions import bindings
from console.ui.exports import Export
from console.ui.messages import ENDED, DecisionRequested, NextStepRequested
from console.ui.pane import Pane
from console.ui.session_protocol import SessionProtocol

if TYPE_CHECKING:
    from console.results.experiment_report import ExperimentReport

LEAST_WIDTH = 40
MOST_RUNS_AT_ONCE = 100  # a page of more takes longer to lay out than a key may wait
NONE_LAUNCHED = "No results yet: launch runs in view 2 and they appear here as runs end."
NONE_EVALUATED = "No run has been evaluated yet: results appear here as runs end."

_STYLES = {
    "title": "bold underline",
    "name": "bold",
    "muted": "$foreground-muted",
    "pass": "bold $text-success",
    "fail": "bold $text-error",
    "warning": "bold $text-warning",
}


class LocalCopyPane(Pane):
    """A view of what the session reads from the local copies, in a thread, again whenever these may have changed.

    Subclasses say what they read, where messages about it go, and how it is shown.
    """

    SUBJECT: ClassVar[str]
    MESSAGE: ClassVar[str]  # selector of a Static

    def __init__(self, *, id: str, can_focus: bool | None = None) -> None:
        super().__init__(id=id, can_focus=can_focus)
        self._version: object = None
        self._is_reading = False

    def read(self, session: SessionProtocol) -> Any:
        """Return what is shown; called in a thread."""
        raise NotImplementedError

    def show(self, value: Any) -> None:
        """Show what ``read`` returned."""
        raise NotImplementedError

    def show_message(self, message: str) -> None:
        """Show one line about the reading."""
        self.query_one(self.MESSAGE, Static).update(Content.styled(message, "italic"))

    def watch_snapshot(self) -> None:
        """Read again if something may have changed; what is shown stays until then."""
        if self.snapshot is None or self.session is None or self._is_reading:
            return
        version = _local_version(self.snapshot)
        if version != self._version:
            self._is_reading = True
            if self._version is None:
                self.show_message(f"Reading the {self.SUBJECT} ...")
            self._read(self.session, version)

    @work(thread=True, exit_on_error=False, group="read")
    def _read(self, session: SessionProtocol, version: object) -> tuple[object, Any]:
        return version, self.read(session)

    @on(Worker.StateChanged)
    def _finish_reading(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "read" or event.state not in ENDED:
            return
        self._is_reading = False
        if not self.app.is_running:  # the console is closing and has removed widgets already
            return
        if event.state is WorkerState.ERROR:
            self.show_message(f"The {self.SUBJECT} could not be read: {event.worker.error}")
        elif event.worker.result is not None:
            self._version, value = event.worker.result
            self.show(value)
            self.watch_snapshot()  # the snapshot may have changed meanwhile


def _local_version(snapshot: Snapshot) -> object:
    """Changes with whatever the results depend on: each run's launch, state, evaluation and sync status."""
    return tuple(
        (run, view.state.key if view.state else "", view.state_name, view.evaluated, snapshot.sync_states[run].status)
        for run, view in snapshot.runs.items()
    )


class _Layout(NamedTuple):
    """A page in lines: its sections, its text, and the line at which each section begins."""

    sections: tuple[Section, ...]
    content: Content
    starts: list[int]


class ResultsPane(LocalCopyPane, inherit_bindings=False):
    """View 4: the page of results, the means at once, the decision with its intervals when it has been computed."""

    SCOPE = "results"
    SUBJECT = "results"
    MESSAGE = "#results-text"
    BINDINGS = bindings("results")

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.report: ExperimentReport | None = None
        self._results: Results | None = None
        self._problem = ""
        self._is_computing = False
        self._page: tuple[Section, ...] = ()
        self._starts: list[int] = []  # the first line of each section of the page

    def compose(self) -> ComposeResult:
        yield Static("", id="results-text", markup=False)

    def read(self, session: SessionProtocol) -> Results:
        """The results as they are now."""
        return session.results()

    def show(self, value: Results) -> None:
        """Show the page of results, or a message while no run has been evaluated; compute the report if they are new."""
        is_new = value != self._results
        self._results = value
        if not value.any_evaluated:
            self.report, self._page = None, ()
            none_launched = all(run.state == "none" for run in value.runs)
            self.show_message(NONE_LAUNCHED if none_launched else NONE_EVALUATED)
        elif is_new:
            self.report, self._problem = None, ""
            self._show_page()
            self.compute_report()

    def compute_report(self) -> None:
        """Compute the report in a thread; what is shown stays until then. Also after a decision was recorded."""
        if self.session is not None and self._results is not None and not self._is_computing:
            self._is_computing = True
            self._compute(self.session, self._results)

    @work(thread=True, exit_on_error=False, group="report")
    def _compute(self, session: SessionProtocol, results: Results) -> tuple[Results, ExperimentReport]:
        return results, session.report()

    @on(Worker.StateChanged)
    def _finish_report(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "report" or event.state not in ENDED:
            return
        self._is_computing = False
        if not self.app.is_running:
            return
        if event.state is WorkerState.ERROR:
            self._problem = f"! Intervals could not be computed: {sanitize_line(str(event.worker.error))}"
            self._show_page()
        elif event.worker.result is not None:
            results, report = event.worker.result
            if results != self._results:  # another run was synced meanwhile
                self.compute_report()
            else:
                self.report = report
                self._show_page()

    def watch_glyphs(self) -> None:
        """Lay the page out again with the new signs."""
        self._show_page()

    def on_resize(self) -> None:
        """Lay the page out again in the new width."""
        self._show_page()

    def _show_page(self) -> None:
        """Show the page in the width that there is, of many runs once a thread has laid it out."""
        if self._results is None or not self._results.any_evaluated:
            return
        note, width = self._problem or COMPUTING, max(LEAST_WIDTH, self.outer_size.width - 4)
        if len(self._results.runs) > MOST_RUNS_AT_ONCE:
            self._lay_out(self._results, self.report, note, width, self.glyphs.is_ascii)
        else:
            self._show_layout(_layout(self._results, self.report, note, width, self.glyphs.is_ascii))

    @work(thread=True, exit_on_error=False, exclusive=True, group="layout")
    def _lay_out(
        self, results: Results, report: ExperimentReport | None, note: str, width: int, ascii_only: bool
    ) -> _Layout:
        return _layout(results, report, note, width, ascii_only)

    @on(Worker.StateChanged)
    def _finish_layout(self, event: Worker.StateChanged) -> None:
        if event.worker.group != "layout" or event.state is not WorkerState.SUCCESS or not self.app.is_running:
            return
        layout = event.worker.result
        if layout is not None and self._results is not None and self._results.any_evaluated:
            self._show_layout(layout)

    def _show_layout(self, layout: _Layout) -> None:
        """Show a page; what the reader had at the top stays there."""
        key, below = self._place()
        self._page, content, self._starts = layout
        self.query_one("#results-text", Static).update(content)
        keys = [section.key for section in self._page]
        if key in keys and self.scroll_y > 0:
            line = self._starts[keys.index(key)] + below
            self.call_after_refresh(self.scroll_to, y=line, animate=False)

    def _place(self) -> tuple[str, int]:
        """The section at the top of the screen, and how many of its lines are above."""
        top = round(self.scroll_y)
        at = bisect_right(self._starts, top) - 1
        return (self._page[at].key, top - self._starts[at]) if at >= 0 else ("", 0)

    def row_text(self) -> str:
        """The sentence of the verdict."""
        return self.report.analysis.summary if self.report is not None else ""

    def command(self) -> tuple[str, ...]:
        """The results as text."""
        return ("results",)

    def exports(self) -> tuple[Export, ...]:
        """The page, with every number as CSV."""
        sections = self._page
        if not sections:
            return ()
        return (
            Export("every number as CSV", "results.csv", partial(_bytes, as_csv, sections)),
            Export("the page as Markdown", "results.md", partial(_bytes, as_markdown, sections)),
        )

    def show_decisions(self) -> None:
        self.compute_report()

    def action_next_step(self) -> None:
        if self.report is not None:
            self.post_message(NextStepRequested(self.report))

    def action_decide(self) -> None:
        if self.report is not None:
            self.post_message(DecisionRequested(self.report))

    def action_jump(self, step: int) -> None:
        """Scroll to the next section, or with -1 to the previous one."""
        top = round(self.scroll_y)
        lines = [start for start in self._starts if (start > top if step > 0 else start < top)]
        if lines:
            self.scroll_to(y=lines[0] if step > 0 else lines[-1], animate=False, immediate=True)


def _layout(results: Results, report: ExperimentReport | None, note: str, width: int, ascii_only: bool) -> _Layout:
    sections = page(results, report, note)
    return _Layout(sections, *page_content(sections, width, ascii_only))


def _bytes(write: Callable[[Sequence[Section]], str], sections: Sequence[Section]) -> bytes:
    return f"{write(sections)}\n".encode()


def page_content(
    sections: Sequence[Section], width: int = LINE_WIDTH, ascii_only: bool = False
) -> tuple[Content, list[int]]:
    """The sections with styles, and the number of the line at which each begins."""
    lines: list[Line] = []
    starts: list[int] = []
    for section in sections:
        starts.append(len(lines))
        lines += [*section_lines(section, width, ascii_only=ascii_only), []]
    return Content("\n").join(_line_content(line) for line in lines[:-1]), starts


def _line_content(line: Line) -> Content:
    return Content.assemble(*((part.text, _STYLES.get(part.role, "")) for part in line))
