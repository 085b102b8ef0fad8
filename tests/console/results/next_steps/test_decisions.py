from __future__ import annotations

import json
import multiprocessing
import os
import stat
from argparse import Namespace
from pathlib import Path

import msgspec
import pytest

from console import cli
from console.commands.context import Context
from console.commands.decisions import decide, decisions
from console.results.analysis.records import Analysis, GateResult, PlanStatus
from console.results.next_steps.decisions import (
    DECISIONS,
    Decision,
    decide_now,
    is_outdated,
    read_decisions,
    record_decision,
    recorded_sections,
)
from console.results.records import Results
from console.results.report.layout import page_lines
from console.results.statistics.estimates import Interval
from engine.contract.bad_input import BadInput
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import run_ids
from engine.contract.toml_file import find_config
from tests.console.results.capsules import results_in, row, write_capsule

INTERVAL = Interval(0.7, 0.68, 0.72, 0.01, "bootstrap", 3, 20, 100)
ANALYSIS = Analysis(
    "do not ship",
    "Do not ship. Coherence fails.",
    gates=(GateResult("A", "coherence_accuracy", 0.8, "FAIL", INTERVAL),),
    plan=PlanStatus("p" * 64),
    results_fingerprint="r" * 64,
)
ROWS = [row("1", 1), row("2", 2), row("c", 1, kind="coherence")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A runs folder with the nine runs of the experiment."""
    folder = tmp_path_factory.mktemp("runs")
    experiment = read_experiment(find_config("scaling.toml"))
    for run in run_ids(experiment, "full"):
        write_capsule(folder / "scaling", experiment, run, ROWS)
    return folder


@pytest.fixture(scope="module")
def results(runs: Path) -> Results:
    return results_in(runs / "scaling", read_experiment(find_config("scaling.toml")))


def test_a_decision_keeps_who_when_why_and_the_numbers_it_was_taken_on(tmp_path: Path, results: Results) -> None:
    one = decide_now(results, ANALYSIS, "do not ship", "", "coherence\nis 10 below\x1b[31m")
    record_decision(tmp_path / "new", one)
    (found,) = read_decisions(tmp_path / "new").decisions
    assert found == one and stat.S_IMODE((tmp_path / "new" / DECISIONS).stat().st_mode) == 0o644
    assert (found.reason, found.runs, found.verdict) == ("coherence is 10 below", "9 of 9", "do not ship")
    assert found.gates[0].interval == INTERVAL and found.plan_fingerprint == "p" * 64
    assert "@" in found.who and found.at.endswith("+00:00") and (found.experiment, found.profile) == ("scaling", "full")
    assert not is_outdated(found, "r" * 64) and is_outdated(found, "s" * 64)


@pytest.mark.parametrize(
    ("kind", "condition", "reason", "message"),
    [
        ("ship", "", "because", "condition: to ship, name a condition; known: A, B, C"),
        ("fall back", "D", "because", "condition: no condition 'D'; known: A, B, C"),
        ("go on", "A", "because", "condition: to 'go on' names no condition"),
        ("ship", "A", " \n ", "reason: a decision needs a reason"),
    ],
)
def test_a_decision_without_reason_or_with_a_wrong_condition_is_refused(
    results: Results, kind: str, condition: str, reason: str, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        decide_now(results, ANALYSIS, kind, condition, reason)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_nothing_is_decided_before_a_run_is_evaluated(results: Results) -> None:
    empty = msgspec.structs.replace(results, runs=())
    with pytest.raises(BadInput, match="no run is evaluated"):
        decide_now(empty, ANALYSIS, "go on", "", "because")


def test_damaged_lines_are_named_and_cost_no_other_one(tmp_path: Path, results: Results) -> None:
    one = decide_now(results, ANALYSIS, "ship", "B", "first")
    record_decision(tmp_path, one)
    path = tmp_path / DECISIONS
    with open(path, "ab") as file:
        file.write(
            b'\x00\xff garbage\n{"decision": "sell"}\n[[[[\n\n' + b"[" * 100_000 + b"\n" + msgspec.json.encode(one)[:50]
        )
    record_decision(tmp_path, msgspec.structs.replace(one, reason="last"))
    log = read_decisions(tmp_path)
    assert [found.reason for found in log.decisions] == ["first", "last"]
    assert [problem.split(":")[1] for problem in log.problems] == ["2", "3", "4", "6", "7"]
    assert all(
        "decisions.jsonl" in problem and problem.isprintable() and len(problem) < 400 for problem in log.problems
    )
    text = "\n".join("".join(part.text for part in line) for line in page_lines(recorded_sections(log, "s" * 64)))
    assert (
        text.index("last") < text.index("first") and text.count("results have changed since") == 2 and "jsonl:2" in text
    )
    assert recorded_sections(read_decisions(tmp_path / "none"), "") == ()


def test_texts_of_an_edited_file_are_made_safe(tmp_path: Path, results: Results) -> None:
    one = decide_now(results, ANALYSIS, "ship", "B", "x")
    evil = msgspec.to_builtins(one) | {"reason": "a\x1b[31m\nb\u202e", "who": "\x07me"}
    evil["gates"][0]["condition"] = "\x1b]0;x\x07A"
    (tmp_path / DECISIONS).write_text(json.dumps(evil) + "\n")
    (found,) = read_decisions(tmp_path).decisions
    assert (found.reason, found.who, found.gates[0].condition) == ("a b", "me", "A")


def test_a_file_that_is_none_is_named(tmp_path: Path, results: Results) -> None:
    (tmp_path / DECISIONS).mkdir()
    assert read_decisions(tmp_path).problems == ("decisions.jsonl cannot be read: Is a directory",)
    with pytest.raises(BadInput, match=r"decisions\.jsonl: the decision cannot be recorded: Is a directory"):
        record_decision(tmp_path, decide_now(results, ANALYSIS, "go on", "", "x"))


def test_a_read_only_folder_is_named_and_nothing_is_lost(
    tmp_path: Path, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = decide_now(results, ANALYSIS, "go on", "", "x")
    record_decision(tmp_path, one)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may write into a read-only folder
    with pytest.raises(BadInput, match=r"decisions\.jsonl: the decision cannot be recorded: Permission denied"):
        record_decision(tmp_path, one)
    monkeypatch.undo()
    assert read_decisions(tmp_path).decisions == (one,)


def _record(folder: Path, one: Decision, count: int) -> None:
    for number in range(count):
        record_decision(folder, msgspec.structs.replace(one, reason=f"{number} " + "x" * 5000))


def test_decisions_of_several_processes_are_all_kept(tmp_path: Path, results: Results) -> None:
    one = decide_now(results, ANALYSIS, "go on", "", "x")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_record, args=(tmp_path, one, 10)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    log = read_decisions(tmp_path)
    assert len(log.decisions) == 30 and log.problems == ()
    assert stat.S_ISREG((tmp_path / DECISIONS).stat().st_mode)


def options(runs: Path, *arguments: str) -> Context:
    parsed = cli.parser().parse_args([*arguments, "--runs", str(runs)], Namespace(**cli.DEFAULTS))
    parsed.experiment = find_config("scaling.toml")
    return Context(parsed)


def test_decisions_are_recorded_and_listed_without_a_host_and_marked_once_results_change(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "runs"
    (copy / "scaling").mkdir(parents=True)
    for run in (runs / "scaling").iterdir():
        (copy / "scaling" / run.name).symlink_to(run)
    assert decisions(options(copy, "decisions")) == 0 and "No decision is recorded yet." in capsys.readouterr().out
    assert decide(options(copy, "decide", "fall-back", "--condition", "A", "--reason", "B gains nothing")) == 0
    assert capsys.readouterr().out.startswith("Recorded: fall back to A. The verdict is: ")
    assert decisions(options(copy, "decisions")) == 0
    text = capsys.readouterr().out
    assert "fall back to A: B gains nothing\n" in text and "verdict then: " in text and "changed" not in text
    (copy / "scaling" / "C_seed456").unlink()
    (copy / "scaling" / DECISIONS).open("a").write("oops\n")
    assert decisions(options(copy, "decisions", "--json")) == 1
    output = capsys.readouterr()
    (one,) = json.loads(output.out)["decisions"]
    assert (one["decision"], one["condition"], one["results_have_changed"]) == ("fall back", "A", True)
    assert one["gates"][0]["interval"]["mean"] == 0.5 and "decisions.jsonl:2: not a decision" in output.err
    with pytest.raises(BadInput, match="condition: to ship, name a condition"):
        decide(options(copy, "decide", "ship", "--reason", "x"))
