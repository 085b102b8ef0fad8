"""JSON that commands print: one envelope (name and version of the schema, command), then the fields of a typed answer.

``docs/json.md`` lists all schemas; ``qllm-console schema NAME`` prints one as JSON Schema.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from msgspec import Struct

from console.charts.metrics import Reference
from console.commands.output import ProgressKind, print_line, progress_as_ndjson
from console.hosts.preflight.checks import Check, Status
from console.hosts.transfer.verdict import Verdict
from console.runs.failures import Failure
from console.runs.launch_attempts import Outcome
from console.runs.sent_messages import SendOutcome, SentMessage
from console.runs.set_aside import SetAsideLaunch
from console.runs.transitions import TransitionKind
from engine.contract.settings import Difference, RunId
from engine.contract.state import RunGpu

SCHEMA_VERSIONS = {
    "status": 1,
    "outcomes": 1,
    "launch-choice": 1,
    "set-aside": 1,
    "restored": 1,
    "preflight": 1,
    "notify-test": 1,
    "notify-log": 1,
    "sync-runs": 1,
    "sync-folder": 1,
    "results": 1,
    "comparison": 1,
    "report": 1,
    "items": 1,
    "decisions": 1,
    "decision": 1,
    "wait": 1,
    "transition": 1,
    "progress": 1,
    "served": 1,
    "log-line": 1,
    "curves": 1,
    "next-steps": 1,
    "derived": 1,
}
"""Version of each schema; it changes when a field is renamed, removed or means something else, not when one is added."""


def envelope(schema: str, command: str, answer: object) -> dict[str, Any]:
    """``answer``, a struct or a mapping, as one object behind the fields that every output has."""
    head = {"schema": f"qllm-console.{schema}", "version": SCHEMA_VERSIONS[schema], "command": command}
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    return head | fields


def print_json(schema: str, command: str, answer: object) -> None:
    """Print ``answer`` as one indented object; a number that does not exist is null."""
    content = msgspec.json.encode(envelope(schema, command, answer))
    print_line(msgspec.json.format(content, indent=2).decode())


def json_line(schema: str, command: str, answer: object) -> str:
    """``answer`` as one line of NDJSON."""
    return msgspec.json.encode(envelope(schema, command, answer)).decode()


def use_ndjson(command: str) -> None:
    """Write progress and errors of ``command`` to stderr as NDJSON from now on (``--progress ndjson``)."""

    def as_line(text: str, kind: ProgressKind, fields: dict[str, Any]) -> str:
        return json_line("progress", command, ProgressLine(round(time.time(), 3), kind, text, **fields))

    progress_as_ndjson(as_line)


class ConditionTitle(Struct, frozen=True):
    """Title of a condition, and where it differs from the experiment's base."""

    title: str
    differences: tuple[Difference, ...]


class RunStatus(Struct, frozen=True):
    """State, progress and sync status of one run.

    Attributes:
        state: ``none`` if it was never launched.
        stage, done, left_s: of a running run: its stage, how far that is (0 to 1), and seconds of training left.
        sync: ``not synced``, ``syncing``, ``pulling``, ``synced`` or ``damaged``, with ``synced_bytes`` so far.
        reason: why it failed, was aborted or was lost, why it waits, or why it is not sealed.
        failure: of a failed or lost run, what kind of failure it is, the next step, and what launching it again keeps.
        gpu: the GPU that it is bound to; null on a CPU, under Slurm, and where the host leaves the choice to CUDA.
    """

    condition: str
    seed: int
    state: str
    stage: str
    done: float | None
    left_s: float | None
    sync: str
    synced_bytes: int
    reason: str
    gpu: RunGpu | None = None
    failure: Failure | None = None


class CostAnswer(Struct, frozen=True):
    """What the host costs for the runs, by ``price_per_hour`` of its entry; null: not known.

    Attributes:
        spent: for the time in which any run ran; ``expected``: that of all, once none is active any more; ``left``: of it.
        at_least: the ends of some active runs are not known, so that ``expected`` is too low.
        idle: for the time since the last run ended, where none is active; not in ``spent``.
    """

    currency: str
    spent: float
    expected: float | None
    left: float | None
    at_least: bool
    idle: float | None


class StatusAnswer(Struct, frozen=True):
    """State and sync status of every run of the profile, as the host reported them.

    Attributes:
        disk_free: bytes left on the host's disk; null: not known. ``disk_full``: too few for a run to start.
        unnamed_runs: how many run folders on the host are of conditions or seeds that the experiment does not have.
        cost: null without a price.
    """

    host: str
    conditions: dict[str, ConditionTitle]
    runs: tuple[RunStatus, ...]
    disk_free: int | None
    disk_full: bool
    unnamed_runs: int
    cost: CostAnswer | None = None


class WaitAnswer(Struct, frozen=True):
    """Result of a wait of ``waited_s`` seconds: whether the condition ``until`` was reached, and the state of its runs."""

    until: str
    reached: bool
    waited_s: float
    runs: tuple[RunStatus, ...]


class TransitionLine(Struct, frozen=True):
    """One change of a run, of the host or of all runs together.

    Attributes:
        at: Unix time of this machine in seconds.
        text: what happened, for people.
        run: the run it happened to; null for the host and for all runs together.
    """

    at: float
    kind: TransitionKind
    text: str
    run: RunId | None


class TransferProgress(Struct, frozen=True):
    """Progress of a file transfer; ``left_s``: seconds left at the mean rate, null where it is not known."""

    files: int
    bytes: int
    bytes_done: int
    left_s: float | None


class ProgressLine(Struct, frozen=True):
    """Progress message or error of a command, on stderr with ``--progress ndjson``.

    Attributes:
        at: Unix time of this machine in seconds.
        kind: ``error``: the command ends with it. ``run``: a run changed or proceeded, see ``run``. ``transfer``: see
            ``transfer``. ``link``: the link to the host is lost or up again. ``message``: anything else, see ``text``.
    """

    at: float
    kind: ProgressKind
    text: str
    run: RunStatus | None = None
    transfer: TransferProgress | None = None


class OutcomesAnswer(Struct, frozen=True):
    """Outcome of the launch or the abort of each run."""

    outcomes: tuple[Outcome, ...]


class ChosenRun(Struct, frozen=True):
    """Run that would be launched; ``new``: the experiment does not have it yet."""

    condition: str
    seed: int
    settings_hash: str
    new: bool


class ChosenCondition(Struct, frozen=True):
    """Condition that would be launched; ``differences``: from its parent, as people read them."""

    name: str
    parent: str | None
    differences: tuple[str, ...]
    new: bool


class LaunchChoiceAnswer(Struct, frozen=True):
    """Runs that ``run`` would launch without ``--dry-run``, and the TOML that it would add to the experiment for them."""

    runs: tuple[ChosenRun, ...]
    conditions: tuple[ChosenCondition, ...]
    new_seeds: tuple[int, ...]
    added_toml: str


class SetAsideAnswer(Struct, frozen=True):
    """Launches of a run that later launches have set aside; ``present``: key of the current launch."""

    condition: str
    seed: int
    present: str
    set_aside: tuple[SetAsideLaunch, ...]


class PreflightAnswer(Struct, frozen=True):
    """Preflight checks of a host, and the worst status among them."""

    host: str
    status: Status
    checks: tuple[Check, ...]


class NotifyTestAnswer(Struct, frozen=True):
    """Outcome of a test message for each URL of the host's entry; ``sent``: all got it."""

    host: str
    sent: bool
    outcomes: tuple[SendOutcome, ...]


class NotifyLogAnswer(Struct, frozen=True):
    """The last messages that the host sent, the newest last."""

    host: str
    messages: tuple[SentMessage, ...]


class SyncRunsAnswer(Struct, frozen=True):
    """Whether every ended run is synced.

    Attributes:
        runs: how many have ended and left something to sync; ``files`` of ``bytes`` in all are synced.
        not_synced: the others, such as ``A/42``, with the reason.
    """

    full: bool
    runs: int
    files: int
    bytes: int
    not_synced: dict[str, str]


class SyncFolderAnswer(Verdict, frozen=True, kw_only=True):
    """Result of a folder sync: what both ends hold equally, what was transferred, what differs and why.

    Attributes:
        full: everything is synced.
        fingerprint: SHA-256 of what both ends hold equally.
        removed: files deleted at the target.
        not_synced: after a dry run, files that would change.
        refused: paths that cannot be synced at all.
    """

    full: bool


class ReportAnswer(Struct, frozen=True):
    """Path of the HTML report that was written."""

    file: str


class ServedAnswer(Struct, frozen=True):
    """Address of a served console, with the token that opens it."""

    url: str
    read_only: bool


class LogLineAnswer(Struct, frozen=True):
    """One line of a run's log.

    Attributes:
        number: from 0, in the whole log.
        time: Unix time that the host wrote, in seconds; that of the line above for one without; null if there is none.
        level: ``debug``, ``info``, ``warning`` or ``error``; empty where the line names none.
        step: the training step that the line names.
    """

    run: RunId
    number: int
    time: float | None
    level: str
    step: int | None
    text: str


class RunCurveAnswer(Struct, frozen=True):
    """Values of one metric of one run; null where a value was not finite."""

    condition: str
    seed: int
    x: tuple[float, ...]
    values: tuple[float | None, ...]


class ConditionCurve(Struct, frozen=True):
    """Mean of one metric over the seeds of a condition, at each x: how many seeds it is of, and the edges of its band."""

    condition: str
    seeds: tuple[int, ...]
    x: tuple[float, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class MetricCurves(Struct, frozen=True):
    """Curves of one metric: of each run, or with ``--mean`` of each condition; what the metric is compared with."""

    metric: str
    label: str
    unit: str
    runs: tuple[RunCurveAnswer, ...]
    means: tuple[ConditionCurve, ...]
    references: tuple[Reference, ...] = ()


class CurvesAnswer(Struct, frozen=True):
    """Training curves of the chosen runs.

    Attributes:
        x: what ``x`` counts: ``step``, ``epoch``, or ``elapsed`` seconds of training.
    """

    experiment: str
    profile: str
    x: str
    metrics: tuple[MetricCurves, ...]
