"""Messages between the parts of the UI; workers post these and never touch a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textual.message import Message

from console.ui.actions import ViewName
from engine.contract.settings import RunId

if TYPE_CHECKING:
    import asyncio

    from rich.text import Text

    from console.hosts.preflight.checks import Check
    from console.hosts.pull.verify import VerifyResult
    from console.hosts.ssh.prompts import Question
    from console.ui.session_protocol import SessionProtocol


class SessionOpened(Message):
    """The session was made and can be used."""

    def __init__(self, session: SessionProtocol) -> None:
        super().__init__()
        self.session = session


class RunSelected(Message):
    """The operator selected another run."""

    def __init__(self, run: RunId) -> None:
        super().__init__()
        self.run = run


class ViewRequested(Message):
    """The operator asked for another view."""

    def __init__(self, view: ViewName) -> None:
        super().__init__()
        self.view = view


class LaunchRequested(Message):
    """The operator asked to launch runs; with ``restart`` from the start, even those that finished."""

    def __init__(self, runs: tuple[RunId, ...], *, restart: bool = False) -> None:
        super().__init__()
        self.runs = runs
        self.restart = restart


class AbortRequested(Message):
    """The operator asked to abort runs."""

    def __init__(self, runs: tuple[RunId, ...]) -> None:
        super().__init__()
        self.runs = runs


class ReconnectRequested(Message):
    """The operator asked to connect now."""


class PreflightRequested(Message):
    """The operator asked to check the host again."""


class PreflightFinished(Message):
    """All checks of the host were done."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        super().__init__()
        self.checks = checks


class RepairRequested(Message):
    """The operator asked to do what a check advises."""

    def __init__(self, check: Check) -> None:
        super().__init__()
        self.check = check


class RepairProgressed(Message):
    """A repair reported its next step."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step = step


class StopRequested(Message):
    """The operator asked to stop a verification, or to stop waiting for a repair."""


class SyncRequested(Message):
    """The operator asked to pull now what is damaged or not synced yet."""


class VerifyRequested(Message):
    """The operator asked to compare the local copy with its manifests."""


class VerifyProgressed(Message):
    """A verification read more; ``result`` is complete so far."""

    def __init__(self, result: VerifyResult) -> None:
        super().__init__()
        self.result = result


class PromptRequested(Message):
    """A connection needs input; ``answer`` is resolved with the operator's text, None for a refusal."""

    def __init__(self, question: Question, answer: asyncio.Future[str | None]) -> None:
        super().__init__()
        self.question = question
        self.answer = answer


class CommandFinished(Message):
    """The host answered a command; ``text`` reports the outcome."""

    def __init__(self, text: str, severity: Literal["information", "warning"]) -> None:
        super().__init__()
        self.text = text
        self.severity = severity


class ChartDrawn(Message):
    """A chart was built off the render path."""

    def __init__(self, drawing: Text) -> None:
        super().__init__()
        self.drawing = drawing
