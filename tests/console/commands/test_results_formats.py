"""``results`` in every format, ``compare`` and ``report --html``, on capsules made by hand."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest

from console.cli import main
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two seeds of A and B; B ranks one more of four items right."""
    folder = tmp_path_factory.mktemp("runs")
    experiment = read_experiment(find_config("scaling.toml"))
    for condition, right in (("A", 2), ("B", 3)):
        rows = [row(f"r{at}", 1 if at < right else 2, margin=0.1) for at in range(4)]
        rows += [row(f"c{at}", 1, kind="coherence", tier="") for at in range(4)]
        for seed in (42, 123):
            write_capsule(folder / "scaling", experiment, RunId(condition, seed), rows)
    return folder


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    return capsys.readouterr().out


def test_results_are_the_same_in_every_format(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "results", "--runs", str(runs))
    assert "4 of 9 runs evaluated" in text and "50.0" in text
    body = json.loads(output(capsys, "results", "--runs", str(runs), "--json"))
    assert body["schema"] == "qllm-console.results" and body["analysis"]["gates"][0]["interval"]["mean"] == 0.5
    assert "| A | top-1 | ≥ 30 | 50.0 |" in output(capsys, "results", "--runs", str(runs), "--markdown")
    assert r"A & top-1 & $\geq$ 30 & 50.0 &" in output(capsys, "results", "--runs", str(runs), "--latex")
    rows = csv.DictReader(io.StringIO(output(capsys, "results", "--runs", str(runs), "--csv")))
    (gate,) = [one for one in rows if (one["section"], one["subject"], one["metric"]) == ("gates", "A", "top-1 mean")]
    assert gate["value"] == "0.5"


def test_a_profile_without_runs_names_those_that_have_some(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["results", "--runs", str(runs), "--profile", "demo"])
    out, err = capsys.readouterr()
    assert "no run is evaluated" in out
    assert "qllm-console: profile full has local runs: --profile full" in err.splitlines()
    with pytest.raises(SystemExit):
        main(["results", "--runs", str(runs)])
    assert capsys.readouterr().err == ""


def test_compare_has_every_metric_of_a_pair_or_of_mean_pooling(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "compare", "B", "A", "--runs", str(runs))
    assert "B − A" in text and "+25.0" in text and "coherence" in text and "Paired t-tests" in text
    turned = json.loads(output(capsys, "compare", "A", "B", "--runs", str(runs), "--json"))
    top1 = next(one for one in turned["comparisons"] if one["metric"] == "retrieval_top1")
    assert top1["recipe"]["mean"] == -0.25 and turned["schema"] == "qllm-console.comparison"
    pooled = output(capsys, "compare", "A", "mean_pool", "--runs", str(runs))
    assert "A − pooling" in pooled and "-50.0" in pooled
    assert "Not comparable" in output(capsys, "compare", "A", "C", "--runs", str(runs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("D", "A"), "OURS: no condition 'D'; known: A, B, C, mean_pool (second)"),
        (("A", "D"), "THEIRS: no condition 'D'"),
        (("mean_pool", "A"), "OURS: no condition 'mean_pool'"),
        (("A", "A"), "THEIRS: a condition is not compared with itself"),
    ],
)
def test_compare_refuses_what_it_cannot_compare(
    runs: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], message: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["compare", *arguments, "--runs", str(runs)])
    error = capsys.readouterr().err
    assert end.value.code == 2 and message in error and error.count("\n") == 1


def test_report_writes_a_page(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws the charts and is not installed")
    path = tmp_path / "page.html"
    assert output(capsys, "report", "--html", str(path), "--runs", str(runs)) == ""
    html = path.read_text(encoding="utf-8")
    assert "<title>Results of scaling, full</title>" in html and "<svg" in html and re.search(r"[0-9a-f]{64}", html)


def test_without_the_chart_library_report_says_what_to_install(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit) as end:
        main(["report", "--html", str(tmp_path / "page.html"), "--runs", str(runs)])
    assert end.value.code == 2
    assert "--html: charts need matplotlib: pip install 'qllm-console[report]'" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
