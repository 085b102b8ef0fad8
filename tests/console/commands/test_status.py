"""``qllm-console status --json``: what it says of the conditions."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from console import cli
from console.commands.context import Context
from console.commands.status import conditions_of
from engine.contract.settings import Difference
from tests.console.tiny import PROFILE, write_experiment


def test_each_condition_has_its_title_and_its_differences_from_the_base(tmp_path: Path) -> None:
    options = cli.parser().parse_args(["status", "--json"], Namespace(**cli.DEFAULTS))
    options.experiment, options.profile, options.runs = write_experiment(tmp_path), PROFILE, tmp_path / "runs"
    with options.experiment.open("a") as file:
        file.write("[conditions.B.training]\nbatch_size = 32\n")
    conditions = conditions_of(Context(options))
    assert {name: one.title for name, one in conditions.items()} == {
        "A": "baseline v3.1 (control)",
        "B": "data scaling",
    }
    assert conditions["A"].differences == ()
    assert conditions["B"].differences == (Difference("training.batch_size", 32, 128),)
