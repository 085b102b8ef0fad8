"""``qllm-console curves``: the points that the runs reported, as they are or as means, in JSON, CSV and text."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from console.commands.curves import _points
from console.runs.series import Series
from engine.contract.settings import RunId
from tests.console.commands.json_checker import checked
from tests.console.results.recordings import measurement, step, write_events


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed, loss in ((42, 1.0), (123, 3.0)):
        losses = [step(number, loss * number) for number in range(1, 5)]
        write_events(tmp_path / "scaling", RunId("A", seed), [*losses, measurement(4, 0.6, best=4)])
    write_events(tmp_path / "scaling", RunId("B", 42), [step(1, 1.0), step(2, 2.0), step(3, 3.0)])
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["curves", "--runs", str(runs), *arguments])
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return out


def metrics(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = checked(printed(capsys, runs, "--json", *arguments))["metrics"]
    return found


def test_json_has_every_point_of_every_chosen_run(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (loss, top1) = metrics(capsys, runs, "--condition", "A", "--metric", "loss", "--metric", "dev.top1")
    assert [(one["seed"], one["x"], one["values"]) for one in loss["runs"]][:2] == [
        (42, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]), (123, [1.0, 2.0, 3.0, 4.0], [3.0, 6.0, 9.0, 12.0]),
    ]  # fmt: skip
    assert (top1["unit"], top1["runs"][0]["x"], top1["runs"][0]["values"]) == ("%", [4.0], [40.0])
    assert [(one["name"], one["conditions"]) for one in top1["references"]] == [("pooling", []), ("gate", [])]
    assert {one["condition"] for one in loss["runs"]} == {"A"}


def test_a_value_that_is_not_finite_is_none_and_no_part_of_the_average() -> None:
    series = Series([1, 2, 3, 4], [1.0, math.nan, 3.0, math.inf])
    assert _points(series, 0.0) == ((1, 2, 3, 4), (1.0, None, 3.0, None))
    _, (first, nan, third, infinite) = _points(series, 0.5)
    assert (first, nan, infinite) == (1.0, None, None) and third == pytest.approx((0.5 * 1 + 3) / 1.5)


def test_means_have_the_number_of_seeds_and_the_edges_of_the_band(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (loss,) = metrics(capsys, runs, "--mean", "--spread", "range")
    (a, *_) = loss["means"]
    assert (a["condition"], a["seeds"][0], a["means"][0], a["lows"][0], a["highs"][0]) == ("A", 2, 2.0, 1.0, 3.0)
    rows = list(csv.DictReader(io.StringIO(printed(capsys, runs, "--mean", "--spread", "range", "--csv"))))
    assert rows[0] == {
        "metric": "loss", "condition": "A", "seed": "", "seeds": "2", "x": "1.0", "value": "2.0", "low": "1.0", "high": "3.0"
    }  # fmt: skip


def test_csv_has_a_row_for_each_point(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(capsys, runs, "--csv"))))
    assert len(rows) == 11 and [row["value"] for row in rows[-3:]] == ["1.0", "2.0", "3.0"]


def test_the_chart_is_plain_text_in_a_pipe(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, runs, "--x", "epoch", "--mean")
    assert text.startswith("training loss") and "\x1b" not in text and "epoch" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_chart_is_written_as_a_picture_of_one_metric(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    assert printed(capsys, runs, "--svg", str(tmp_path / "loss.svg")) == ""
    assert "training loss" in (tmp_path / "loss.svg").read_text()
    assert metrics(capsys, runs, "--svg", str(tmp_path / "beside.json.svg")) and (tmp_path / "beside.json.svg").exists()
    with pytest.raises(SystemExit) as end:
        main(["curves", "--runs", str(runs), "--svg", str(tmp_path), "--metric", "loss", "--metric", "dev.top1"])
    assert end.value.code == 2 and "--svg: one metric at a time" in capsys.readouterr().err


def test_metrics_are_listed_and_an_unknown_one_is_one_line(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "dev.top1" in printed(capsys, runs, "--metrics")
    assert "dev.top1" in [one["metric"] for one in metrics(capsys, runs, "--metrics")]
    with pytest.raises(SystemExit) as end:
        main(["curves", "--runs", str(runs), "--metric", "dev.top"])
    err = capsys.readouterr().err
    assert end.value.code == 2
    assert err == "qllm-console: error: --metric: no metric 'dev.top'; did you mean dev.top1?\n"


def test_without_any_run_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["curves", "--runs", str(tmp_path)])
    assert end.value.code == 0 and "no local run has loss yet" in capsys.readouterr().err
