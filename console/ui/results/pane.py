"""View 4: the results of all runs with a local copy, computed again whenever another run is synced."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from console.results.records import Results
from console.results.result_sections import result_sections
from console.results.tables import page_lines
from console.runs.snapshot import Snapshot
from console.ui.messages import ENDED
from console.ui.pane import Pane
from console.ui.session_protocol import SessionProtocol

_STYLES = {
    "title": "bold underline",
    "name": "bold",
    "muted": "$text-muted",
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

    @work(thread=True, exit_on_error=False)
    def _read(self, session: SessionProtocol, version: object) -> tuple[object, Any]:
        return version, self.read(session)

    @on(Worker.StateChanged)
    def _finish_reading(self, event: Worker.StateChanged) -> None:
        if event.state not in ENDED:
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


class ResultsPane(LocalCopyPane):
    """The page of results."""

    SUBJECT = "results"
    MESSAGE = "#results-text"

    def compose(self) -> ComposeResult:
        yield Static("", id="results-text", markup=False)

    def read(self, session: SessionProtocol) -> Results:
        """The results as they are now."""
        return session.results()

    def show(self, value: Results) -> None:
        """Show the page of results, or a message while no run has been evaluated."""
        if value.any_evaluated:
            self.query_one("#results-text", Static).update(results_content(value))
        elif all(run.state == "none" for run in value.runs):
            self.show_message("No results yet: launch runs in view 2 and they appear here as runs end.")
        else:
            self.show_message("No run has been evaluated yet: results appear here as runs end.")


def results_content(results: Results) -> Content:
    """The page of results with styles."""
    return Content("\n").join(
        Content.assemble(*((part.text, _STYLES.get(part.role, "")) for part in line))
        for line in page_lines(result_sections(results))
    )
