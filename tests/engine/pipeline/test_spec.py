"""Versions and code state in a run's spec."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import engine
from engine.pipeline.spec import git_state, versions


def test_versions_are_of_the_packages_that_determine_the_numbers() -> None:
    assert {"python", "torch", "numpy", "safetensors"} <= versions().keys()


def test_the_state_of_the_tree_is_its_commit_and_whether_it_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "engine" / "__init__.py"
    package.parent.mkdir()
    package.write_text("")
    monkeypatch.setattr(engine, "__file__", str(package))
    assert git_state() == ""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert git_state() == git("rev-parse", "HEAD")
    package.write_text("changed")
    assert git_state() == git("rev-parse", "HEAD") + "-dirty"
    git("tag", "-a", "v1", "-m", "a release")
    assert git_state() == git("rev-parse", "HEAD") + "-dirty"
