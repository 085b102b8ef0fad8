"""A run's killers are written in the users' format and can be read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import cli
from engine.contract.items import ItemRow
from engine.data.formats.user_files import read_evaluation_files
from engine.data.records import Killer
from engine.evaluation.item_files import write_rows
from tests.engine.data.formats import sample_lines as samples
from tests.engine.samples import item_row


def row(item: str, rank: int = 1, margin: float = 0.2, reason: str = "", kind: str = "retrieval") -> ItemRow:
    sense = f"{item}#wrong"
    return item_row(kind=kind, item_id=item, rank=rank, margin=margin, reason=reason, chosen_sense=sense)


def test_the_killers_of_a_run_are_written_in_the_users_format(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        row("eval0000", 2, -0.3125, "within_lemma_collision"),
        row("eval0001"),
        row("eval0002", 4, -0.01, "style_mismatch"),
        row("step:0", 2, -0.5, kind="coherence"),
    ]
    write_rows(tmp_path / "items.parquet", rows, ItemRow)
    out = tmp_path / "killers.jsonl"
    command = ["data", "killers", str(tmp_path), "--out", str(out)]
    assert cli.main(command) == cli.main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"2 killers of 3 retrieval items: {out}"
    items = samples.write(tmp_path / "retrieval.jsonl", map(samples.retrieval, range(3)))
    assert cli.main(["data", "check", str(out), str(items)]) == 0
    files = read_evaluation_files(killers=out, retrieval=items)
    assert files.killers == (
        Killer("eval0000", "within_lemma_collision", -0.3125, 1.3125, 2, "eval0000#wrong"),
        Killer("eval0002", "style_mismatch", -0.01, 1.01, 4, "eval0002#wrong"),
    )
    assert not any(report.quarantined or report.repaired for report in files.reports)


def test_no_killers_write_nothing_and_no_other_file_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "killers.jsonl"
    command = ["data", "killers", str(tmp_path), "--out", str(out)]
    assert cli.main(command) == 2
    assert "items.parquet: no such file: this run has not been evaluated" in capsys.readouterr().err
    write_rows(tmp_path / "items.parquet", [row("a")], ItemRow)
    assert cli.main(command) == 0 and not out.exists()
    write_rows(tmp_path / "items.parquet", [row("a", 4, -0.3, "style_mismatch")], ItemRow)
    out.write_text("mine")
    assert cli.main(command) == 2 and out.read_text() == "mine"
