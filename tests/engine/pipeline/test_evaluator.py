"""``qllm-engine evaluate`` as a tool of its own: checkpoints and baselines, on files and on the built evaluation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from engine import cli
from engine.contract.run_folder import RunFolder
from engine.contract.settings import decode_spec
from tests.engine.data.formats import sample_lines as samples
from tests.engine.pipeline.finished_run import FinishedRun

LAYERS = [f"mean_pool layer {layer}" for layer in range(7)]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Items of users' files by option; two killers, one of an item that is not there."""
    return {
        "--retrieval": samples.write(tmp_path / "retrieval.jsonl", map(samples.retrieval, range(12))),
        "--coherence": samples.write(tmp_path / "coherence.jsonl", map(samples.coherence, range(12))),
        "--killers": samples.write(tmp_path / "killers.jsonl", map(samples.killer, range(0, 12, 3))),
        "--probes": samples.write(tmp_path / "probes.jsonl", map(samples.attention, range(12))),
    }


def named(files: dict[str, Path], *options: str) -> list[str]:
    return [text for option in options for text in (option, str(files[option]))]


def report(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert cli.main(["evaluate", *arguments, "--json"]) == 0
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["evaluate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()[-1]


def test_a_checkpoint_is_scored_on_files_without_its_data_beside_every_baseline(
    finished: FinishedRun, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, output = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "output")
    run.root.mkdir()
    for file in (finished.folder.spec, finished.folder.checkpoint):
        shutil.copy(file, run.root)
    arguments = ["--checkpoint", str(run.root), *named(files, *files), "--workspace", str(tmp_path / "workspace")]
    arguments += ["--device", "cpu"]
    made = report([*arguments, "--output", str(output.root)], capsys)
    assert (made["subject"], made["retrieval_items"], made["coherence_steps"]) == ("A/42", 12, 24)
    assert list(made["models"]) == ["A/42", "mean_pool", "random", "word_overlap", *LAYERS]
    assert made["killers"] == 4 and made["attention"]["probes"] == 12
    assert not (tmp_path / "workspace" / "data").exists()
    head = made["models"]["A/42"]
    items = pl.read_parquet(output.items)
    assert head["coherence_accuracy"] == items.filter(pl.col("kind") == "coherence")["correct_at_1"].mean()
    assert head["intervals"]["retrieval_top1"]["lemmas"] == 12 and head["tiers"] == {}
    assert pl.read_parquet(output.attention).height == 12
    assert json.loads((output.root / "evaluation.json").read_text()) == made
    assert "holds an evaluation already" in refusal([*arguments, "--output", str(output.root)], capsys)

    copy = shutil.copy(finished.folder.checkpoint, run.root / "other.safetensors")
    by_file = report(["--checkpoint", str(copy), *arguments[2:]], capsys)
    assert by_file == made
    assert cli.main(["evaluate", *arguments]) == 0
    text = capsys.readouterr().out
    assert f"\nA/42 {100 * head['retrieval_top1']:.1f} " in "\n".join(
        " ".join(line.split()) for line in text.splitlines()
    )
    assert "of 24 coherence steps" in text and "Of 4 killers" in text and "A/42 - mean_pool" in text


def test_a_checkpoint_on_the_built_evaluation_has_the_scores_of_its_run(
    finished: FinishedRun, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report(["--checkpoint", str(finished.folder.root), "--workspace", str(workspace), "--device", "cpu"], capsys)
    stated = json.loads(finished.folder.metrics.read_bytes())
    assert made["models"]["A/42"] == stated["head"] and made["models"]["mean_pool"] == stated["mean_pool"]
    assert made["gains"] == stated["gains"] and made["informativeness"] == stated["informativeness"]
    assert {name: made["models"][name] for name in stated["baselines"]} == stated["baselines"]
    assert made["gates"] == stated["gates"] and made["killer_top1"] == stated["killer_top1"]


def test_evaluating_a_run_prints_the_same_report(
    finished: FinishedRun, workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(finished.folder.root), "--workspace", str(workspace), "--device", "cpu"]
    made = report([*arguments, "--output", str(tmp_path / "one")], capsys)
    assert made["models"]["A/42"] == json.loads((tmp_path / "one" / "metrics.json").read_bytes())["head"]
    assert cli.main(["evaluate", *arguments, "--output", str(tmp_path / "two")]) == 0
    assert "A/42 - mean_pool" in capsys.readouterr().out


def test_word_overlap_and_guessing_need_neither_pytorch_nor_an_encoder(files: dict[str, Path]) -> None:
    script = f"""
import sys
from engine.cli import main
for name in ("word_overlap", "random"):
    assert main(["evaluate", "--baseline", name, "--json", *{named(files, "--retrieval", "--coherence")!r}]) == 0
assert not {{"torch", "transformers"}} & set(sys.modules), sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    decoder, text = json.JSONDecoder(), done.stdout
    overlap, end = decoder.raw_decode(text)
    guessing, _ = decoder.raw_decode(text[end:].lstrip())
    assert list(overlap["models"]) == ["word_overlap", "random"] and list(guessing["models"]) == [
        "random",
        "word_overlap",
    ]
    scores = guessing["models"]["random"]
    assert (scores["retrieval_top1"], scores["retrieval_top3"]) == (pytest.approx(1 / 3), 1.0)
    assert (scores["coherence_accuracy"], scores["transition_accuracy"]) == (0.5, 0.25)


def test_one_kind_of_items_is_enough_and_the_gate_without_items_says_so(
    files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    overlap = ["--baseline", "word_overlap", *named(files, "--coherence")]
    made = report(overlap, capsys)
    assert made["retrieval_items"] == 0 and made["models"]["word_overlap"]["retrieval_top1"] is None
    assert cli.main(["evaluate", *overlap, "--strict"]) == 5
    text = capsys.readouterr().out
    assert "retrieval_top1: no items." in text and "top-1" not in text


def test_what_cannot_be_scored_is_one_line(
    finished: FinishedRun, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [*named(files, "--retrieval"), "--workspace", str(tmp_path / "workspace"), "--device", "cpu"]
    folder = str(finished.folder.root)
    assert "give one of" in refusal([folder, "--baseline", "random"], capsys)
    assert "killers are among retrieval items" in refusal(
        ["--baseline", "random", *named(files, "--coherence", "--killers")], capsys
    )
    assert "a baseline has no attention" in refusal(["--baseline", "random", *named(files, "--probes")], capsys)
    assert "--profile" in refusal(["--checkpoint", folder, "--profile", "tiny", *items], capsys)
    assert "no such file or folder" in refusal(["--checkpoint", str(tmp_path / "none"), *items], capsys)
    assert "spec.json: not a run folder" in refusal(["--checkpoint", str(tmp_path), *items], capsys)
    lone = shutil.copy(finished.folder.checkpoint, tmp_path / "lone.safetensors")
    assert "with its run's spec.json beside it" in refusal(["--checkpoint", str(lone), *items], capsys)
    wrong = ["--baseline", "random", "--retrieval", str(files["--coherence"])]
    assert "of another format" in refusal(wrong, capsys)

    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished.folder.root, run.root)
    checkpoint = ["--checkpoint", str(run.root), *items]
    content = run.checkpoint.read_bytes()
    run.checkpoint.write_bytes(content[: len(content) // 2])
    assert "checkpoint.safetensors: not a usable checkpoint" in refusal(checkpoint, capsys)
    run.checkpoint.write_bytes(content)
    spec = decode_spec(run.spec.read_bytes())
    changes = {"layers": (3,)}
    encoder = msgspec.structs.replace(spec.settings.encoder, **changes)
    other = msgspec.structs.replace(spec, settings=msgspec.structs.replace(spec.settings, encoder=encoder))
    run.spec.write_bytes(msgspec.json.encode(other))
    assert "reads another encoder than minilm, layers 3, as it is here" in refusal(checkpoint, capsys)
    run.spec.write_bytes(msgspec.json.encode(msgspec.structs.replace(spec, data_fingerprint="0" * 64)))
    assert "belongs to a run with other settings, data or encoder" in refusal(checkpoint, capsys)
    run.checkpoint.unlink()
    assert "has not been trained" in refusal(checkpoint, capsys)
