"""What the parts of the UI tell each other; workers post these and never touch a widget."""

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
    """The headless core is there."""

    def __init__(self, session: SessionProtocol) -> None:
        super().__init__()
        self.session = session


class RunSelected(Message):
    """The operator turned to a run."""

    def __init__(self, run: RunId) -> None:
        super().__init__()
        self.run = run


class ViewWanted(Message):
    """The operator wants another view."""

    def __init__(self, view: ViewName) -> None:
        super().__init__()
        self.view = view


class LaunchWanted(Message):
    """The operator wants runs launched; ``again`` even where they finished."""

    def __init__(self, runs: tuple[RunId, ...], *, again: bool = False) -> None:
        super().__init__()
        self.runs = runs
        self.again = again


class AbortWanted(Message):
    """The operator wants runs aborted."""

    def __init__(self, runs: tuple[RunId, ...]) -> None:
        super().__init__()
        self.runs = runs


class ReconnectWanted(Message):
    """The operator wants the link tried now."""


class LookWanted(Message):
    """The operator wants the host looked at again."""


class Looked(Message):
    """The host was looked at."""

    def __init__(self, checks: tuple[Check, ...]) -> None:
        super().__init__()
        self.checks = checks


class RepairWanted(Message):
    """The operator wants done what a check advises."""

    def __init__(self, check: Check) -> None:
        super().__init__()
        self.check = check


class RepairSaid(Message):
    """A repair got on."""

    def __init__(self, line: str) -> None:
        super().__init__()
        self.line = line


class WaitLeft(Message):
    """The operator no longer waits for what goes on: a repair, a verification."""


class PullAgainWanted(Message):
    """The operator wants asked again, and now, for what did not come home."""


class VerifyWanted(Message):
    """The operator wants what is at home compared with its manifests."""


class Verified(Message):
    """A check of what is at home got on."""

    def __init__(self, check: VerifyResult) -> None:
        super().__init__()
        self.check = check


class Asked(Message):
    """Someone waits for the operator's answer; None is a refusal."""

    def __init__(self, question: Question, answer: asyncio.Future[str | None]) -> None:
        super().__init__()
        self.question = question
        self.answer = answer


class CommandDone(Message):
    """The host answered a command; what to tell the operator."""

    def __init__(self, words: str, severity: Literal["information", "warning"]) -> None:
        super().__init__()
        self.words = words
        self.severity = severity


class ChartDrawn(Message):
    """A chart was built off the render path."""

    def __init__(self, drawing: Text) -> None:
        super().__init__()
        self.drawing = drawing
