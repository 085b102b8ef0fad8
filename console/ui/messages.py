"""Messages that the views post to the screen and the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message
from textual.worker import WorkerState

from engine.contract.settings import RunId

if TYPE_CHECKING:
    import asyncio

    from console.hosts.preflight.checks import Check
    from console.hosts.ssh.prompts import Question
    from console.results.experiment_report import ExperimentReport
    from console.ui.actions import Scope
    from engine.contract.experiment import Experiment

# To compare with the state of an event: the worker itself may be further than an event that is handled late.
ENDED = (WorkerState.SUCCESS, WorkerState.ERROR, WorkerState.CANCELLED)


@dataclass(eq=False, repr=False)
class RunSelected(Message):
    """The operator selected another run."""

    run: RunId


@dataclass(eq=False, repr=False)
class RunOpened(Message):
    """The operator double-clicked the selected run."""


@dataclass(eq=False, repr=False)
class StepChosen(Message):
    """The operator chose the training step of a line of the log; None if it names none."""

    step: int | None


@dataclass(eq=False, repr=False)
class ActionClicked(Message):
    """An action was clicked in the key bar."""

    call: str
    scope: Scope


@dataclass(eq=False, repr=False)
class LaunchRequested(Message):
    """The operator asked to launch runs; with ``restart`` from the start, even those that finished.

    ``confirm``: also ask when nothing is set aside, because the runs were not what the operator pointed at.
    """

    runs: tuple[RunId, ...]
    restart: bool = False
    confirm: bool = False


@dataclass(eq=False, repr=False)
class NewRunsRequested(Message):
    """The operator asked for the launch form, with ``condition`` ticked; "": none."""

    condition: str


@dataclass(eq=False, repr=False)
class ExperimentChanged(Message):
    """The experiment's file was changed and read again."""

    experiment: Experiment


@dataclass(eq=False, repr=False)
class AbortRequested(Message):
    """The operator asked to abort runs."""

    runs: tuple[RunId, ...]


@dataclass(eq=False, repr=False)
class RestoreRequested(Message):
    """The operator asked to bring back what a launch of a run set aside."""

    run: RunId


@dataclass(eq=False, repr=False)
class NextStepRequested(Message):
    """The operator asked for what could come next by ``report``."""

    report: ExperimentReport


@dataclass(eq=False, repr=False)
class DecisionRequested(Message):
    """The operator asked to record a decision on ``report``."""

    report: ExperimentReport


@dataclass(eq=False, repr=False)
class RepairRequested(Message):
    """The operator asked to do what a check advises."""

    check: Check


@dataclass(eq=False, repr=False)
class PromptRequested(Message):
    """A connection needs input; ``answer`` is resolved with the operator's text, None for a refusal."""

    question: Question
    answer: asyncio.Future[str | None]
