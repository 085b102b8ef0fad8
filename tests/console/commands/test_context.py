"""Session options that follow from the command: which commands may write on the host, which ones sync runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from console.cli import DEFAULTS, parser
from console.commands.context import Context
from engine.contract.bad_input import BadInput
from tests.console.tiny import PROFILE, write_experiment


def context(tmp_path: Path, *words: str) -> Context:
    shared = ["--experiment", str(write_experiment(tmp_path)), "--profile", PROFILE, "--runs", str(tmp_path / "runs")]
    return Context(parser().parse_args([*words, *shared], Namespace(**DEFAULTS)))


@pytest.mark.parametrize(
    ("words", "writes"),
    [
        (["status"], False),
        (["preflight"], False),
        (["preflight", "--repair"], True),
        (["preflight", "--repair", "--read-only"], False),
        (["run"], True),
        (["abort", "--all"], True),
        (["run", "--read-only"], False),
    ],
)
async def test_only_what_changes_the_host_may_write_there(tmp_path: Path, words: list[str], writes: bool) -> None:
    session = context(tmp_path, *words).session()
    if writes:
        assert session._link._wants_lease
    else:
        assert not session._link._wants_lease
        with pytest.raises(BadInput, match="read-only"):
            await session.take_over()


@pytest.mark.parametrize(
    ("words", "syncs"), [(["status"], False), (["preflight"], False), (["abort", "--all"], False), (["run"], True)]
)
async def test_only_commands_that_last_sync_runs(tmp_path: Path, words: list[str], syncs: bool) -> None:
    assert context(tmp_path, *words).session()._link._syncs_runs is syncs
