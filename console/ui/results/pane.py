"""View 4: the results of the runs that are in, worked out anew when another one is."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static
from textual.worker import Worker, WorkerState

from console.runs.snapshot import Snapshot
from console.ui.messages import ResultsRead
from console.ui.pane import Pane
from console.ui.results.text import nothing_yet, results_text
from console.ui.session_protocol import SessionProtocol


def results_key(snapshot: Snapshot) -> object:
    """What the results depend on: each run's launch, its state, and how far it is home."""
    return tuple(
        (run, view.state.key if view.state else "", view.state_name, view.evaluated, snapshot.sync_states[run].status)
        for run, view in snapshot.runs.items()
    )


class ResultsPane(Pane):
    """A page of results; the last one stays in sight while the next is worked out."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._read: object = None
        self._busy = False

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static("", id="results-words", markup=False)

    def watch_snapshot(self) -> None:
        """Work the results out if they may have changed."""
        if self.snapshot is None:
            return
        key = results_key(self.snapshot)
        if self.session is not None and key != self._read and not self._busy:
            self._busy = True
            if self._read is None:
                self._say("Working the results out ...")
            self._compute(self.session, key)

    @work(thread=True, exit_on_error=False)
    def _compute(self, session: SessionProtocol, key: object) -> None:
        self.post_message(ResultsRead(key, session.results()))

    @on(ResultsRead)
    def _show(self, message: ResultsRead) -> None:
        message.stop()
        self._read = message.key
        if not nothing_yet(message.results):
            self.query_one("#results-words", Static).update(results_text(message.results))
        elif all(run.state == "none" for run in message.results.runs):
            self._say("No results yet: launch runs in view 2 and they fill in here as runs end.")
        else:
            self._say("No run has been evaluated yet: results fill in here as runs end.")

    @on(Worker.StateChanged)
    def _ended(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._say(f"The results could not be read: {event.worker.error}")
        if event.worker.is_finished:
            self._busy = False
        if event.state is WorkerState.SUCCESS:
            self.watch_snapshot()  # what came meanwhile

    def _say(self, words: str) -> None:
        self.query_one("#results-words", Static).update(Content.styled(words, "italic"))
