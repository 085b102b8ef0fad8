"""Where configuration files are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.bad_input import BadInput
from engine.contract.experiment import read_experiment
from engine.contract.toml_file import find_config


def test_a_file_beside_the_operator_comes_before_the_projects_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = find_config("scaling.toml")
    assert read_experiment(shipped).name == "scaling"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "scaling.toml").write_text("")
    assert find_config("scaling.toml").resolve() == tmp_path / "configs" / "scaling.toml"


def test_a_file_that_is_nowhere_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        find_config("nowhere.toml")
