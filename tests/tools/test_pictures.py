"""The pictures of the README are drawn from a runs folder, which is left as it is."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from engine.contract.experiment_reader import read_experiment
from engine.contract.settings import RunId
from engine.contract.toml_file import find_config
from tests.console.results.capsules import row, write_capsule
from tools import pictures


def test_a_picture_of_each_view_is_drawn_and_the_runs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = read_experiment(find_config("scaling.toml"))
    rows = [row("r0", 1), row("r1", 2), row("c0", 1, kind="coherence")]
    write_capsule(tmp_path / "scaling", experiment, RunId("A", 42), rows)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(pictures, "STILL_S", 0.3)
    out = tmp_path / "pictures"
    monkeypatch.setattr(sys, "argv", ["pictures", str(tmp_path / "scaling"), "--out", str(out)])
    pictures.main()
    for name in pictures.PICTURES:
        text = (out / f"{name}.svg").read_text()
        Xml.fromstring(text)  # noqa: S314 - of our own making
        assert "A/42" in text.replace("&#160;", " ") or name != "live"
        assert "url(http" not in text and 'url("http' not in text, "it loads nothing from the network"
    assert sorted(path for path in tmp_path.rglob("*") if out not in path.parents and path != out) == before
