"""Recorded decisions: what was decided on which numbers, by whom, when and why; ``decisions.jsonl`` in the runs folder.

The file of an experiment's runs folder only ever grows, a line for each decision. A line that cannot be read is named and
left alone: the others still count.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from console.results.analysis.records import Analysis, GateOutcome, Reading
from console.results.next_steps.derive import user
from console.results.records import Results
from console.results.statistics.estimates import Interval
from console.results.tables import Row, Section, header_row, text_cell
from console.sanitize import sanitize_line
from engine.contract.bad_input import BadInput
from engine.contract.durable import sync_folder
from engine.contract.file_lock import take_lock
from engine.contract.validation_words import error_in_words

DECISIONS = "decisions.jsonl"
CHANGED = "results have changed since"
MAX_FILE = 16 << 20
MAX_REASON = 2000

Kind = Literal["ship", "fall back", "do not ship", "go on"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_A_CONDITION: tuple[Kind, ...] = ("ship", "fall back")
"""Kinds of decision that name a condition."""

ShortText = Annotated[str, Meta(max_length=8000)]


class DecidedGate(Struct, frozen=True):
    """Verdict on one ship blocker of one condition at the time of a decision."""

    condition: str
    gate: str
    threshold: float
    outcome: GateOutcome
    interval: Interval | None = None


class DecidedComparison(Struct, frozen=True):
    """Planned comparison of two conditions, with its interval and reading at the time of a decision."""

    ours: str
    theirs: str
    metric: str
    reading: Reading
    interval: Interval | None = None
    adjusted_p: float | None = None


class Decision(Struct, frozen=True):
    """One decision.

    Attributes:
        condition: which one is shipped; "" where none is.
        reason: as it was typed.
        who: ``user@machine``.
        at: UTC, ISO 8601.
        runs: counted runs of all runs of the profile, such as ``9 of 9``.
        verdict, summary: what the analysis said then.
        plan_fingerprint, results_fingerprint: SHA-256 of the plan and of what the numbers were computed from.
    """

    decision: Kind
    condition: ShortText
    reason: ShortText
    who: ShortText
    at: ShortText
    experiment: ShortText
    profile: ShortText
    runs: ShortText
    verdict: ShortText
    summary: ShortText
    plan_fingerprint: ShortText
    results_fingerprint: ShortText
    gates: tuple[DecidedGate, ...] = ()
    comparisons: tuple[DecidedComparison, ...] = ()

    @property
    def text(self) -> str:
        """``ship B``, ``do not ship``."""
        return decision_text(self.decision, self.condition)


def decision_text(kind: Kind, condition: str) -> str:
    """A kind of decision with the condition that it names, as people read it: ``ship B``, ``fall back to A``."""
    return f"{kind}{' to' if kind == 'fall back' else ''} {condition}".rstrip()


class DecisionLog(Struct, frozen=True):
    """The decisions on an experiment and profile, oldest first, and the lines that are none, each named in words."""

    decisions: tuple[Decision, ...] = ()
    problems: tuple[str, ...] = ()


def decide_now(results: Results, analysis: Analysis, kind: Kind, condition: str, reason: str) -> Decision:
    """The decision that this user takes now on what ``results`` and ``analysis`` show.

    Raises:
        BadInput: it has no reason, or names no condition of the profile although it is about one, or the reverse.
    """
    reason = sanitize_line(reason.strip(), MAX_REASON)
    if not reason:
        raise BadInput("a decision needs a reason", field="reason")
    names = [one.condition for one in results.conditions]
    if kind in OF_A_CONDITION and condition not in names:
        message = f"no condition {condition!r}" if condition else f"to {kind}, name a condition"
        raise BadInput(f"{message}; known: {', '.join(names)}", field="condition")
    if kind not in OF_A_CONDITION and condition:
        raise BadInput(f"to {kind!r} names no condition", field="condition")
    if not results.any_evaluated:
        raise BadInput("there is nothing to decide on: no run is evaluated")
    counted = sum(run.is_counted for run in results.runs)
    return Decision(
        kind,
        condition,
        reason,
        user(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        results.experiment,
        results.profile,
        f"{counted} of {len(results.runs)}",
        analysis.verdict,
        analysis.summary,
        analysis.plan.fingerprint,
        analysis.results_fingerprint,
        tuple(DecidedGate(one.condition, one.gate, one.threshold, one.outcome, one.interval) for one in analysis.gates),
        tuple(
            DecidedComparison(one.ours, one.theirs, one.metric, one.reading, one.recipe, one.adjusted_p)
            for one in analysis.comparisons
            if one.role != "exploratory"
        ),
    )


def record_decision(folder: Path, decision: Decision) -> None:
    """Append ``decision`` durably to the decisions in the experiment's runs ``folder``. Blocks while another one writes.

    Raises:
        BadInput: it cannot be written; the decisions are then as they were, but for part of a line at most.
    """
    path = folder / DECISIONS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        handle = take_lock(path, wait=True)
        assert handle is not None
        if is_new:
            os.fchmod(handle, 0o644)  # a lock file is its owner's alone, a decision is for others to read
        with os.fdopen(handle, "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            # a line that a power cut made incomplete is ended, so that it costs no other one
            torn = b"\n" if end and file.read(1) != b"\n" else b""
            file.seek(0, os.SEEK_END)
            file.write(torn + msgspec.json.encode(decision) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(folder)
    except OSError as error:
        raise BadInput(f"the decision cannot be recorded: {error.strerror or error}", file=path) from error


def read_decisions(folder: Path) -> DecisionLog:
    """The decisions in the experiment's runs ``folder``; what cannot be read is named in the log's problems. Blocks."""
    path = folder / DECISIONS
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        return DecisionLog()
    except OSError as error:
        return DecisionLog((), (f"{DECISIONS} cannot be read: {error.strerror or error}",))
    decisions, problems = list[Decision](), list[str]()
    if len(content) > MAX_FILE:
        problems.append(f"{DECISIONS} is larger than {MAX_FILE >> 20} MiB: what comes after is not read")
        content = content[: content.rfind(b"\n", 0, MAX_FILE) + 1]
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            decisions.append(_safe(msgspec.json.decode(line, type=Decision)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            problems.append(sanitize_line(f"{DECISIONS}:{number}: not a decision: {error_in_words(error)}", limit=300))
    return DecisionLog(tuple(decisions), tuple(problems))


def is_outdated(decision: Decision, results_fingerprint: str) -> bool:
    """Whether the results are others now than when it was taken."""
    return decision.results_fingerprint != results_fingerprint


def recorded_sections(log: DecisionLog, results_fingerprint: str) -> tuple[Section, ...]:
    """The decisions, newest first, and what could not be read of them."""
    rows: list[Row] = []
    for one in reversed(log.decisions):
        rows.append(
            (
                text_cell(one.at[:16].replace("T", " ")),
                text_cell(one.who),
                text_cell(one.text, "name"),
                text_cell(one.reason),
            )
        )
        if is_outdated(one, results_fingerprint):
            rows.append((text_cell(""), text_cell(f"! {CHANGED}", "warning")))
    rows += [(text_cell(f"! {problem}", "warning"),) for problem in log.problems]
    header = header_row("at (UTC)", "who", "decision", "why") if log.decisions else ()
    return (Section("Decisions", tuple(rows), header, key="decisions"),) if rows else ()


def _safe(decision: Decision) -> Decision:
    """``decision`` with every text safe to show: the file may have been edited."""
    return msgspec.structs.replace(
        decision,
        **{
            name: sanitize_line(value)
            for name, value in msgspec.structs.asdict(decision).items()
            if isinstance(value, str)
        },
        gates=tuple(
            msgspec.structs.replace(one, condition=sanitize_line(one.condition), gate=sanitize_line(one.gate))
            for one in decision.gates
        ),
        comparisons=tuple(
            msgspec.structs.replace(
                one, ours=sanitize_line(one.ours), theirs=sanitize_line(one.theirs), metric=sanitize_line(one.metric)
            )
            for one in decision.comparisons
        ),
    )
