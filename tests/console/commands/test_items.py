"""``qllm-console items``: the items that pass, in JSON and in text; what no run has is one line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule

COHERENT = row("c0", 1, kind="coherence", margin=0.2, tier="")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ranks ``gained`` and ``both`` wrong and ``lost`` right, B the reverse but for ``both``."""
    folder, experiment = tmp_path_factory.mktemp("runs"), read_experiment(find_config("scaling.toml"))
    ranks = {"A": {"gained": 2, "lost": 1, "both": 3}, "B": {"gained": 1, "lost": 2, "both": 2}}
    for condition, of in ranks.items():
        for seed in (42, 123):
            rows = [row(item, rank, margin=0.1 if rank == 1 else -0.1) for item, rank in of.items()]
            rows[2] = rows[2]._replace(lemma="spring", reason="style_mismatch", query="a \x1b[31mspring\x1b[0m")
            write_capsule(folder / "scaling", experiment, RunId(condition, seed), [*rows, COHERENT])
    return folder


def run(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with pytest.raises(SystemExit) as end:
        main(["items", "--runs", str(folder), *options])
    return int(str(end.value.code)), *capsys.readouterr()


def shown(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> dict[str, Any]:
    code, out, err = run(capsys, folder, "--json", *options)
    assert (code, err) == (0, "")
    body: dict[str, Any] = json.loads(out)
    assert (body["schema"], body["version"], body["total"]) == ("qllm-console.items", 1, 4)
    assert body["shown"] == len(body["items"])
    return body


def test_fixed_and_broken_items_are_counted_over_the_condition_that_the_plan_compares(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = shown(capsys, runs, "--fixed-by", "B")
    assert [one["item_id"] for one in fixed["items"]] == ["gained"]
    assert fixed["items"][0]["conditions"] == {
        "A": {"right": 0, "seeds": 2, "margin": -0.1},
        "B": {"right": 2, "seeds": 2, "margin": 0.1},
    }
    assert (fixed["filter"]["ours"], fixed["filter"]["theirs"]) == ("B", "A")
    counts = [(one["kind"], one["items"], one["fixed"], one["broken"]) for one in fixed["changes"]]
    assert counts == [("retrieval", 3, 1, 1), ("coherence", 1, 0, 0)]
    broken = shown(capsys, runs, "--broken-by", "A", "--over", "B", "--by", "margin")
    assert [one["item_id"] for one in broken["items"]] == ["gained"]


def test_items_are_filtered_by_lemma_reason_tier_and_kind(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = shown(capsys, runs)
    assert [one["item_id"] for one in everything["items"]] == ["both", "gained", "lost", "c0"]
    assert everything["seeds"] == {"A": [42, 123], "B": [42, 123]} and everything["changes"] == []
    for options in (("--lemma", "spring"), ("--reason", "style_mismatch")):
        assert [one["item_id"] for one in shown(capsys, runs, *options)["items"]] == ["both"]
    assert shown(capsys, runs, "--tier", "tier1_easy")["shown"] == 3
    assert shown(capsys, runs, "--kind", "coherence")["shown"] == 1
    assert shown(capsys, runs, "--lemma", "unknown")["shown"] == 0


def test_the_text_has_the_sentence_the_true_total_and_safe_lines(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, runs, "--fixed-by", "B", "--kind", "retrieval")
    assert code == 0 and "\x1b" not in out
    assert "B fixed 1 of 3 retrieval items that A failed and broke 1 (by mean margin 1 and 1)." in out
    assert "Showing 1 of 4 items." in out and "0/2  2/2  0.000" in out
    _, everything, _ = run(capsys, runs)
    assert "\x1b" not in everything and "style_mismatch  a spring" in everything
    _, nothing, _ = run(capsys, runs / "elsewhere")
    assert nothing == "No synced run has been evaluated: there are no items.\n"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--fixed-by", "X"), "--fixed-by: no condition 'X' in scaling; known: A, B, C"),
        (("--broken-by", "B", "--over", "\x1b[2J"), "--over: no condition '\\x1b[2J' in scaling; known: A, B, C"),
        (("--fixed-by", "C"), "--fixed-by: no synced run of condition C has been evaluated"),
        (("--fixed-by", "B", "--over", "C"), "--over: no synced run of condition C has been evaluated"),
        (("--fixed-by", "A"), "--over: name the condition that A is compared with"),
        (("--fixed-by", "B", "--over", "B"), "--over: name the condition that B is compared with"),
        (("--over", "A"), "--over: give --fixed-by or --broken-by with it"),
        (("--reason", "bad"), "--reason: no item has reason 'bad'; known: style_mismatch"),
        (("--tier", "bad"), "--tier: no item has tier 'bad'; known: tier1_easy"),
    ],
)
def test_what_no_run_has_is_one_line(
    runs: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], expected: str
) -> None:
    assert run(capsys, runs, *options) == (2, "", f"qllm-console: error: {expected}\n")
