"""JSON that commands print: one envelope (name and version of the schema, command), then the fields of a typed answer.

``docs/json.md`` lists all schemas; ``qllm-console schema NAME`` prints one as JSON Schema.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from console.commands.output import ProgressKind, print_line
from console.hosts.preflight.checks import Check, Status
from console.hosts.transfer.plan import PathProblem
from console.runs.launch_attempts import Outcome
from console.runs.set_aside import SetAsideLaunch
from console.runs.transitions import TransitionKind
from engine.contract.settings import Difference, RunId

SCHEMA_VERSIONS = {
    "status": 1,
    "outcomes": 1,
    "launch-choice": 1,
    "set-aside": 1,
    "restored": 1,
    "preflight": 1,
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


class ConditionTitle(Struct, frozen=True):
    """Title of a condition, and where it differs from the experiment's base."""

    title: str
    differences: tuple[Difference, ...]


class RunStatus(Struct, frozen=True):
    """One run of the profile.

    Attributes:
        state: ``none`` if it was never launched.
        stage, done, left_s: of a running run: its stage, how far that is (0 to 1), and seconds of training left.
        sync: ``not synced``, ``syncing``, ``pulling``, ``synced`` or ``damaged``, with ``synced_bytes`` so far.
        reason: why it failed, was aborted or was lost, or why it is not sealed.
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


class StatusAnswer(Struct, frozen=True):
    """The runs as the host knows them, and how far they are synced.

    Attributes:
        disk_free: bytes left on the host's disk; null: not known. ``disk_full``: too few for a run to start.
        unnamed_runs: in the experiment's folder there, of conditions or seeds that the experiment does not have.
    """

    host: str
    conditions: dict[str, ConditionTitle]
    runs: tuple[RunStatus, ...]
    disk_free: int | None
    disk_full: bool
    unnamed_runs: int


class WaitAnswer(Struct, frozen=True):
    """Whether the runs have become as ``until`` says, and how they are; ``waited_s`` seconds were waited."""

    until: str
    reached: bool
    waited_s: float
    runs: tuple[RunStatus, ...]


class TransitionLine(Struct, frozen=True):
    """One thing that happened.

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
    """Progress of a transfer of ``files``; ``left_s``: seconds left at the mean pace, null where it is not known."""

    files: int
    bytes: int
    bytes_done: int
    left_s: float | None


class ProgressLine(Struct, frozen=True):
    """A line of progress or an error, on stderr.

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
    """What became of each run that was to be launched or aborted."""

    outcomes: tuple[Outcome, ...]


class ChosenRun(Struct, frozen=True):
    """A run that would be launched; ``new``: the experiment does not have it yet."""

    condition: str
    seed: int
    settings_hash: str
    new: bool


class ChosenCondition(Struct, frozen=True):
    """A condition that would be launched, and where it differs from its parent, as people read it."""

    name: str
    parent: str | None
    differences: tuple[str, ...]
    new: bool


class LaunchChoiceAnswer(Struct, frozen=True):
    """What ``run --dry-run`` would launch, and the TOML that it would add to the experiment for that."""

    runs: tuple[ChosenRun, ...]
    conditions: tuple[ChosenCondition, ...]
    new_seeds: tuple[int, ...]
    added_toml: str


class SetAsideAnswer(Struct, frozen=True):
    """What later launches of a run have set aside; ``present``: key of the launch in place."""

    condition: str
    seed: int
    present: str
    set_aside: tuple[SetAsideLaunch, ...]


class PreflightAnswer(Struct, frozen=True):
    """The checks of a host, and the worst status of them."""

    host: str
    status: Status
    checks: tuple[Check, ...]


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


class SyncFolderAnswer(Struct, frozen=True):
    """Result of a folder sync: what both ends hold equally, what was transferred, what differs and why.

    Attributes:
        full: everything is synced.
        fingerprint: SHA-256 of what both ends hold equally.
        removed: files deleted at the target.
        not_synced: after a dry run, files that would change.
        refused: paths that cannot be synced at all.
    """

    full: bool
    direction: str
    files: int
    bytes: int
    fingerprint: str
    transferred_files: int
    transferred_bytes: int
    removed: int
    not_synced: tuple[PathProblem, ...]
    refused: tuple[PathProblem, ...]
    seconds: float
    dry_run: bool


class ReportAnswer(Struct, frozen=True):
    """The page that was written."""

    file: str


class ServedAnswer(Struct, frozen=True):
    """The page that shows the console; whoever knows its address can open it."""

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
    """A metric of one run; null where a value was not finite."""

    condition: str
    seed: int
    x: tuple[float, ...]
    values: tuple[float | None, ...]


class ConditionCurve(Struct, frozen=True):
    """A metric of one condition: the mean of ``seeds`` seeds at each x, and the edges of its band."""

    condition: str
    seeds: tuple[int, ...]
    x: tuple[float, ...]
    means: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


class MetricCurves(Struct, frozen=True):
    """A metric over time: of each run, or with ``--mean`` of each condition."""

    metric: str
    label: str
    unit: str
    runs: tuple[RunCurveAnswer, ...]
    means: tuple[ConditionCurve, ...]


class CurvesAnswer(Struct, frozen=True):
    """What runs reported over time.

    Attributes:
        x: what ``x`` counts: ``step``, ``epoch``, or ``elapsed`` seconds of training.
    """

    experiment: str
    profile: str
    x: str
    metrics: tuple[MetricCurves, ...]
