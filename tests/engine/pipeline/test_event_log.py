"""``events.jsonl``: one event per line, numbered without gaps even after a crash; events as lines of text."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.events import (
    BaselineScores,
    Body,
    Checkpoint,
    End,
    Evaluation,
    Event,
    Progress,
    SetScores,
    Stage,
    Step,
    Warning,
    decode,
)
from engine.pipeline.event_log import EventWriter, line_of, log_line
from tests.measurements import measurement


def bodies(path: Path) -> list[tuple[int, object]]:
    return [(event.seq, event.body) for event in map(decode, path.read_bytes().splitlines())]


def test_events_are_numbered_and_timed_and_written_at_once(tmp_path: Path) -> None:
    path = tmp_path / "made" / "events.jsonl"
    clock = iter([1.5, 2.5])
    writer = EventWriter(path, lambda: next(clock))
    assert not path.parent.exists()
    writer.write(Stage("data"))
    assert [(event.seq, event.t) for event in map(decode, path.read_bytes().splitlines())] == [(0, 1.5)]
    writer.write(Progress(1, 2, "texts"))
    assert bodies(path) == [(0, Stage("data")), (1, Progress(1, 2, "texts"))]


def test_a_second_writer_continues_after_the_last_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(3):
        EventWriter(path).write(Progress(number, 3, "texts"))
    assert bodies(path) == [(number, Progress(number, 3, "texts")) for number in range(3)]


def test_a_partly_written_line_is_an_error_and_the_next_writer_drops_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.write(Stage("data"))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, unlimited[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            writer.write(Progress(1, 2, "texts"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    EventWriter(path).write(Progress(1, 2, "texts"))
    assert bodies(path) == [(0, Stage("data")), (1, Progress(1, 2, "texts"))]


def test_rare_events_are_flushed_to_the_disk_with_all_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: flushed.append(path.read_bytes().count(b"\n")))
    writer = EventWriter(path)
    for body in (Stage("train"), Progress(1, 2, "steps"), Step(1, 1, 1, 0.5, 1e-3, {}), End()):
        writer.write(body)
    assert flushed == [1, 4]


@pytest.mark.parametrize("events", [0, 1, 3])
@given(cut=st.integers(0, 40))
def test_a_line_cut_short_by_a_crash_is_dropped(
    tmp_path_factory: pytest.TempPathFactory, events: int, cut: int
) -> None:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    writer = EventWriter(path)
    for number in range(events + 1):
        writer.write(Progress(number, 3, "texts"))
    whole = path.read_bytes()
    last = whole[: whole[:-1].rfind(b"\n") + 1]
    path.write_bytes(whole[: max(len(last), len(whole) - 1 - cut)])
    EventWriter(path).write(Stage("train"))
    assert bodies(path) == [
        *((number, Progress(number, 3, "texts")) for number in range(events)),
        (events, Stage("train")),
    ]


def step(number: int) -> Step:
    return Step(number, 25, 1, 0.5, 1e-3, {"tier1_easy": 60, "tier3_adversarial": 4})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Stage("data", "edition v2.2"), "[data] edition v2.2"),
        (Progress(3, 7, "texts"), "  3/7 texts"),
        (step(20), "  step 20/25 loss 0.5000 lr 1.00e-03 tier1_easy 60 tier3_adversarial 4"),
        (step(21), None),
        (step(25), "  step 25/25 loss 0.5000 lr 1.00e-03 tier1_easy 60 tier3_adversarial 4"),
        (Warning("dilution", "too thin"), "warning: dilution: too thin"),
        (Checkpoint(9, 2, "ab" * 32), "  checkpoint at step 9, sha256 abababababab"),
        (End(("retrieval_top1",)), "end: failed ship blockers: retrieval_top1"),
        (End(), "end: every ship blocker passed"),
    ],
)
def test_each_event_is_one_line_and_most_steps_are_none(body: Body, expected: str | None) -> None:
    assert line_of(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Stage("data", "edition v2.2"), "2026-11-27T10:00:02Z INFO [data] edition v2.2"),
        (Warning("dilution", "too thin"), "2026-11-27T10:00:02Z WARNING dilution: too thin"),
        (End(("retrieval_top1",)), "2026-11-27T10:00:02Z WARNING end: failed ship blockers: retrieval_top1"),
        (End(), "2026-11-27T10:00:02Z INFO end: every ship blocker passed"),
        (step(21), None),
    ],
)
def test_the_log_has_the_time_of_the_event_and_a_level(body: Body, expected: str | None) -> None:
    assert log_line(Event(0, 1795773602.5, body)) == expected


def test_lines_show_mean_pooling_and_chance_beside_the_head() -> None:
    sets, pooled = (SetScores("mine", 0.61, 0.8, 0.7),), (SetScores("mine", 0.6, 0.8, 0.72),)
    measured = line_of(measurement(10, epoch=0.5, best_step=5, sets=sets, mean_pool_sets=pooled))
    assert measured is not None and measured.startswith(
        "measured at step 10/20 (epoch 0.50): dev top-1 50.0% (mean pooling 40.0%), margin +0.1000, loss 0.2000"
    )
    assert measured.endswith(
        "; mine top-1 61.0% (60.0%), coherence 70.0% (72.0%); score 50.0% (40.0%), the best is that of step 5"
    )
    guessed = line_of(measurement(10, chance=BaselineScores(0.25, {}, 0.25)))
    assert guessed is not None and "dev top-1 50.0% (mean pooling 40.0%, chance 25.0%), margin" in guessed
    evaluation = line_of(Evaluation(0.5, 0.7, 0.8, 0.4, 0.6, 0.75))
    assert evaluation is not None
    assert "50.0% (mean pooling 40.0%)" in evaluation
    assert "80.0% (75.0%)" in evaluation
