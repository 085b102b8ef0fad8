"""Events and attention are read once, and a damaged file costs only what it holds and is named."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from console.results.descriptions.load_training import RecordedRun, load_training
from engine.contract.events import Warning
from engine.contract.settings import RunId
from tests.console.results.capsules import opened_files
from tests.console.results.recordings import (
    Bodies,
    measurement,
    probe,
    stage,
    step,
    write_attention,
    write_events,
    write_manifest,
)

RUN = RunId("A", 42)
EVENTS: Bodies = [stage("data"), stage("train"), step(1, 3.0), step(2, 2.0), measurement(20, 0.6), stage("evaluate")]
PROBES = [probe("p", 0.9), probe("q", 0.8), probe("p", 0.99, step=0, epoch=0.0), probe("q", 0.99, step=0, epoch=0.0)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_events(tmp_path, RUN, EVENTS)
    write_attention(tmp_path, RUN, PROBES)
    return tmp_path


def recorded(folder: Path) -> RecordedRun:
    return load_training(folder, [RUN])[RUN]


def test_each_file_is_read_once_until_it_changes(folder: Path) -> None:
    first = load_training(folder, [RUN])
    with opened_files(folder) as opened:
        assert load_training(folder, [RUN], first)[RUN] is first[RUN]
    assert opened == []
    write_attention(folder, RUN, PROBES[:1])
    changed = load_training(folder, [RUN], first)[RUN]
    assert changed.attention is not None and changed.attention.height == 1


def test_a_run_without_recordings_has_none_and_no_problem(tmp_path: Path) -> None:
    one = recorded(tmp_path)
    assert (one.events, one.attention, one.problems) == (None, None, ())


def test_tokens_are_kept_of_the_evaluated_head_alone(folder: Path) -> None:
    attention = recorded(folder).attention
    assert attention is not None and attention["step"].to_list() == [0, 0, 20, 20]
    assert attention["weights"].is_null().to_list() == [True, True, False, False]
    write_events(folder, RUN, [stage("data"), measurement(0, 0.6, best=0), measurement(20, 0.5, best=0)])
    attention = recorded(folder).attention
    assert attention is not None and attention["weights"].is_null().to_list() == [False, False, True, True]


def test_a_resumed_run_has_its_last_losses_and_the_time_of_both_processes(tmp_path: Path) -> None:
    spike = Warning("loss_spike", "loss 9", 2, 9.0)
    first: Bodies = [stage("data"), (5.0, stage("train")), step(1, 3.0), step(2, 9.0), (0.0, spike)]
    second: Bodies = [
        (3600.0, stage("data")),
        (2.0, stage("train")),
        step(2, 2.0),
        (0.0, spike),
        step(3, 1.0),
        stage("evaluate"),
        stage("seal"),
    ]
    write_events(tmp_path, RUN, [*first, *second])
    events = recorded(tmp_path).events
    assert events is not None
    assert [list(values) for values in events.losses.points()] == [[1, 2, 3], [3.0, 2.0, 1.0]]
    assert events.warnings == {"loss_spike": 1}
    assert events.seconds == {"data": 7.0, "train": 2.0 + 3.0, "evaluate": 1.0}
    assert events.last_event - events.first_event == 5 + 2 + 3600 + 2 + 2 + 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"PAR1", "is no Parquet file, or was cut"),
        (b"PAR1" + b"\xff" * 40 + b"PAR1", "is damaged"),
        (b"not Parquet at all", "is no Parquet file, or was cut"),
    ],
)
def test_damaged_attention_costs_only_itself(folder: Path, content: bytes, expected: str) -> None:
    (folder / str(RUN) / "attention.parquet").write_bytes(content)
    one = recorded(folder)
    assert one.attention is None and one.events is not None and len(one.events.losses) == 2
    assert [problem.startswith(f"attention.parquet: {expected}") for problem in one.problems] == (
        [True] if expected else []
    )


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"entropy": pl.lit(math.nan)}, "a value of entropy is not from"),
        ({"cue_mass": pl.lit(1.5)}, "a value of cue_mass is not from"),
        ({"lemma": pl.lit(None, pl.String)}, "lemma lacks a value"),
        ({"step": pl.col("step").cast(pl.Float64)}, "step is Float64, not Int64"),
        ({"weights": pl.lit([0.5, 0.5])}, "a token lacks its weight"),
        ({"weights": pl.lit([0.5, math.nan, 0.5])}, "a token lacks its weight"),
        ({"weights": pl.lit([0.5, None, 0.5], pl.List(pl.Float64))}, "a token lacks its weight"),
    ],
)
def test_impossible_attention_is_a_problem(folder: Path, columns: dict[str, pl.Expr], expected: str) -> None:
    path = folder / str(RUN) / "attention.parquet"
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)
    one = recorded(folder)
    assert one.attention is None and len(one.problems) == 1 and expected in one.problems[0]


def test_lines_that_are_no_events_are_counted_and_the_others_kept(folder: Path) -> None:
    path = folder / str(RUN) / "events.jsonl"
    right = path.read_bytes()
    path.write_bytes(b'{"seq":1}\n\xff\xfe\n' + b"[" * 200_000 + b"\n" + right + b'{"seq": 9, "t"')
    one = recorded(folder)
    assert one.problems == ("events.jsonl: 3 lines cannot be read",)
    assert one.events is not None and len(one.events.losses) == 2 and one.attention is not None


def test_a_file_that_is_not_the_sealed_one_is_not_believed(folder: Path) -> None:
    write_manifest(folder, RUN)
    assert recorded(folder).problems == ()
    write_attention(folder, RUN, PROBES[:2])
    one = recorded(folder)
    assert one.attention is None and one.events is not None
    assert one.problems == (
        "attention.parquet: is not the file that manifest.json lists: it is damaged or was replaced",
    )
    (folder / str(RUN) / "manifest.json").write_bytes(b"{")
    one = recorded(folder)
    assert (one.events, one.attention) == (None, None) and one.problems[0].startswith("manifest.json: ")


def test_what_is_no_file_is_named(folder: Path) -> None:
    path = folder / str(RUN) / "events.jsonl"
    path.unlink()
    path.mkdir()
    one = recorded(folder)
    assert one.problems == ("events.jsonl: it is a folder, not a file",) and one.attention is not None
